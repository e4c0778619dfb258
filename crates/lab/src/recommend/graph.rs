use contrarian::InvalidParameter;

/// The graph of users and items with normalised weights, for LightGCN.
///
/// ```text
/// A_ui = (edges between u and i) / sqrt(d_u d_i),        E^(l+1) = A E^(l),        out = mean of E^(0), ..., E^(L)
/// ```
///
/// Rows are users, then items. A repeated edge counts each time. A node without an edge keeps `E^(0) / (L + 1)`. The matrix is
/// symmetric, so the gradient of the propagation is the propagation of the gradient.
///
/// Source: He et al. 2020, "LightGCN", <https://arxiv.org/abs/2002.02126>, equations 3 and 4.
#[derive(Debug, Clone)]
pub struct NormalizedGraph {
    nodes: usize,
    /// Both directions of every edge: from, to, weight; in the order of `from`.
    starts: Vec<usize>,
    targets: Vec<u32>,
    weights: Vec<f64>,
}

impl NormalizedGraph {
    /// From edges of users and items.
    ///
    /// # Errors
    /// When an edge names a user or item that does not exist.
    pub fn new(users: usize, items: usize, edges: &[(u32, u32)]) -> Result<Self, InvalidParameter> {
        if let Some((user, item)) = edges.iter().find(|(user, item)| *user as usize >= users || *item as usize >= items)
        {
            let allowed = format!("below {users} users and {items} items");
            return Err(InvalidParameter::new("edges", format!("({user}, {item})"), allowed));
        }
        let nodes = users + items;
        let both: Vec<(usize, usize)> = edges
            .iter()
            .flat_map(|&(user, item)| [(user as usize, users + item as usize), (users + item as usize, user as usize)])
            .collect();
        let mut degrees = vec![0usize; nodes];
        for (from, _) in &both {
            degrees[*from] += 1;
        }
        let mut starts = vec![0; nodes + 1];
        for node in 0..nodes {
            starts[node + 1] = starts[node] + degrees[node];
        }
        let mut next = starts.clone();
        let (mut targets, mut weights) = (vec![0; both.len()], vec![0.0; both.len()]);
        for (from, to) in both {
            let at = next[from];
            next[from] += 1;
            targets[at] = to as u32;
            weights[at] = 1.0 / ((degrees[from] * degrees[to]) as f64).sqrt();
        }
        Ok(Self { nodes, starts, targets, weights })
    }

    /// Embeddings `[users + items, dim]`, row-major, propagated over this many layers.
    ///
    /// # Panics
    /// When there is not a row for each node.
    pub fn propagate(&self, embeddings: &[f64], dim: usize, layers: usize) -> Vec<f64> {
        assert_eq!(embeddings.len(), self.nodes * dim, "there must be an embedding for each user and item");
        let mut layer = embeddings.to_vec();
        let mut sum = layer.clone();
        for _ in 0..layers {
            let mut next = vec![0.0; layer.len()];
            for (node, row) in next.chunks_mut(dim.max(1)).enumerate() {
                for at in self.starts[node]..self.starts[node + 1] {
                    let target = self.targets[at] as usize * dim;
                    for (value, other) in row.iter_mut().zip(&layer[target..target + dim]) {
                        *value += self.weights[at] * other;
                    }
                }
            }
            sum.iter_mut().zip(&next).for_each(|(sum, value)| *sum += value);
            layer = next;
        }
        let part = 1.0 / (layers + 1) as f64;
        sum.iter().map(|sum| sum * part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_by_hand() {
        // One user with both items: weights 1 / sqrt 2.
        let graph = NormalizedGraph::new(2, 2, &[(0, 0), (0, 1)]).unwrap();
        let out = graph.propagate(&[1.0, 7.0, 2.0, 4.0], 1, 1);
        let root = 2f64.sqrt();
        let expected = [0.5 + 3.0 / root, 3.5, 1.0 + 0.5 / root, 2.0 + 0.5 / root];
        assert!(out.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{out:?}");
        assert_eq!(NormalizedGraph::new(1, 1, &[(0, 1)]).unwrap_err().field, "edges");
    }
}
