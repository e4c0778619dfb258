/// The assignment of least total cost: for each row the column it is given, every column at most once (Hungarian method).
///
/// With more rows than columns the dearest rows stay without one. Shortest augmenting paths with potentials, one row after
/// another: `O(rows^2 cols)` for `rows <= cols`. Of equal choices the smaller column is taken.
///
/// - cost: `rows x cols`, row by row
///
/// # Panics
/// When the costs are not that many, or one is not finite.
///
/// Source: Kuhn 1955, <https://doi.org/10.1002/nav.3800020109>; with potentials Jonker, Volgenant 1987,
/// <https://doi.org/10.1007/BF02278710>.
pub fn assign(cost: &[f64], rows: usize, cols: usize) -> Vec<Option<usize>> {
    assert_eq!(cost.len(), rows * cols, "a cost for every row and column is needed");
    assert!(cost.iter().all(|cost| cost.is_finite()), "costs must be finite");
    if rows > cols {
        let transposed: Vec<f64> = (0..cost.len()).map(|at| cost[(at % rows) * cols + at / rows]).collect();
        let mut of_row = vec![None; rows];
        for (column, row) in assign(&transposed, cols, rows).into_iter().enumerate() {
            of_row[row.expect("each of the fewer side is assigned")] = Some(column);
        }
        return of_row;
    }
    // The row each column is given to, and potentials with cost - row - column >= 0 everywhere, 0 where assigned.
    let mut owner: Vec<Option<usize>> = vec![None; cols];
    let (mut row_potential, mut column_potential) = (vec![0.0; rows], vec![0.0; cols]);
    for start in 0..rows {
        // Dijkstra over the columns, from the new row to the nearest free column.
        let mut length = vec![f64::INFINITY; cols];
        let mut before: Vec<Option<usize>> = vec![None; cols];
        let mut done = vec![false; cols];
        let (mut row, mut column, mut reached) = (start, None, 0.0);
        let end = loop {
            let mut next: Option<usize> = None;
            for to in (0..cols).filter(|to| !done[*to]) {
                let through = reached + cost[row * cols + to] - row_potential[row] - column_potential[to];
                if through < length[to] {
                    (length[to], before[to]) = (through, column);
                }
                if next.is_none_or(|next| length[to] < length[next]) {
                    next = Some(to);
                }
            }
            let next = next.expect("there are at least as many columns as rows");
            (done[next], reached) = (true, length[next]);
            match owner[next] {
                None => break next,
                Some(of) => (row, column) = (of, Some(next)),
            }
        };
        row_potential[start] += reached;
        for column in (0..cols).filter(|column| done[*column] && *column != end) {
            let slack = reached - length[column];
            column_potential[column] -= slack;
            row_potential[owner[column].expect("passed columns are taken")] += slack;
        }
        // Back along the path, each column takes the row of the one before it.
        let mut column = end;
        while let Some(previous) = before[column] {
            owner[column] = owner[previous];
            column = previous;
        }
        owner[column] = Some(start);
    }
    let mut of_row = vec![None; rows];
    for (column, row) in owner.into_iter().enumerate() {
        if let Some(row) = row {
            of_row[row] = Some(column);
        }
    }
    of_row
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every injection of the fewer side, tried.
    fn least(cost: &[f64], rows: usize, cols: usize, used: &mut [bool], row: usize, skips: usize) -> f64 {
        if row == rows {
            return 0.0;
        }
        let mut best = f64::INFINITY;
        if skips > 0 {
            best = least(cost, rows, cols, used, row + 1, skips - 1);
        }
        for column in 0..cols {
            if !used[column] {
                used[column] = true;
                best = best.min(cost[row * cols + column] + least(cost, rows, cols, used, row + 1, skips));
                used[column] = false;
            }
        }
        best
    }

    proptest! {
        #[test]
        fn the_total_is_the_least_of_all(rows in 1usize..6, cols in 1usize..6, whole: bool,
            numbers in prop::collection::vec(-9.0f64..9.0, 36)) {
            let cost: Vec<f64> = numbers[..rows * cols].iter().map(|c| if whole { c.round() } else { *c }).collect();
            let given = assign(&cost, rows, cols);
            let mut taken: Vec<usize> = given.iter().flatten().copied().collect();
            prop_assert_eq!(taken.len(), rows.min(cols));
            taken.sort_unstable();
            taken.dedup();
            prop_assert_eq!(taken.len(), rows.min(cols));
            let total: f64 = given.iter().enumerate().filter_map(|(row, c)| Some(cost[row * cols + (*c)?])).sum();
            let least = least(&cost, rows, cols, &mut vec![false; cols], 0, rows.saturating_sub(cols));
            prop_assert!((total - least).abs() < 1e-9, "{} against {}", total, least);
        }
    }

    #[test]
    fn nothing_to_assign_and_all_equal() {
        assert!(assign(&[], 0, 3).is_empty());
        assert_eq!(assign(&[], 2, 0), [None, None]);
        assert_eq!(assign(&[1.0; 9], 3, 3), [Some(0), Some(1), Some(2)]);
    }
}
