//! Tables in, numbers out: loading, encoding, splitting, generating.
/// m
#[derive(Debug, Clone)]
pub struct Matrix {
    /// r
    pub rows: usize,
    /// c
    pub cols: usize,
    /// d
    pub data: Vec<f32>,
}
impl Matrix {
    /// g
    pub fn gather(&self, rows: &[usize]) -> Matrix {
        let mut data = Vec::with_capacity(rows.len() * self.cols);
        for &r in rows {
            data.extend_from_slice(&self.data[r * self.cols..(r + 1) * self.cols]);
        }
        Matrix {
            rows: rows.len(),
            cols: self.cols,
            data,
        }
    }
}
