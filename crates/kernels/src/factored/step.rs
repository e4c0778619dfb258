use super::{FactoredOutputLayer, ROWS, rows_of};
use crate::error::{check_indices, check_vector, zeros};
use crate::matmul::{View, matmul};
use crate::simd::{self, Work};
use crate::{KernelError, Partials, Real, SphericalLoss};
use nalgebra::DMatrix;
use rayon::prelude::*;

/// What a step gives back.
#[derive(Debug, Clone, PartialEq)]
pub struct FactoredStep<T> {
    /// The loss of each example at the weights before the step, `[m]`.
    pub losses: Vec<T>,
    /// The gradient of the sum of the losses in the hidden layer, at the weights before the step, `[m, dim]`.
    pub grad_hidden: Vec<T>,
}

/// Above this norm of its inverse a step counts as singular: `U^-1` would lose this factor of its precision.
const SINGULAR: f64 = 1e6;

/// Below this norm of what is subtracted from the identity its inverse is a product of a few matrices.
const SERIES: f64 = 0.1;

/// Products below so many multiplications stay on one thread.
const PARALLEL: usize = 1 << 17;

impl<T: Real> FactoredOutputLayer<T> {
    /// One exact step of gradient descent on the sum of the losses of `m` examples.
    ///
    /// ```text
    /// W <- W - eta (sum_j dloss_j/dW + weight_decay W)
    /// ```
    ///
    /// - hidden: `[m, dim]`
    /// - targets: `[m]`, or `[m, k]` for `k` targets an example, whose outputs are added up
    /// - eta: the learning rate; divide it by `m` to descend on the mean
    ///
    /// # Errors
    /// Before anything is changed: when shapes do not fit, a target is out of range, a hidden number or `eta` is not finite, the
    /// loss has become infinite, or the step would make `U` singular (`2 eta dloss/dq |h|^2` close to 1 for one example).
    /// After the step: when the factors cannot be looked after because they are not finite any more.
    pub fn step(
        &mut self,
        hidden: &[T],
        targets: &[usize],
        loss: &(impl SphericalLoss + ?Sized),
        eta: f64,
    ) -> Result<FactoredStep<T>, KernelError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let step = self.step_with(&mut scratch, hidden, targets, loss, eta);
        self.scratch = scratch;
        step
    }

    #[expect(clippy::too_many_lines, reason = "the equations of one step, in the order of the paper")]
    fn step_with(
        &mut self,
        x: &mut Scratch,
        hidden: &[T],
        targets: &[usize],
        loss: &(impl SphericalLoss + ?Sized),
        eta: f64,
    ) -> Result<FactoredStep<T>, KernelError> {
        let d = self.dim;
        let m = rows_of(hidden, d)?;
        // One target an example where there is no example.
        let k = targets.len().checked_div(m).unwrap_or(1).max(1);
        check_vector("targets", targets, m * k, "target of an example")?;
        check_indices("targets", targets, self.classes)?;
        if let Some(at) = hidden.iter().position(|x| !x.is_finite()) {
            return Err(KernelError::value(
                "hidden",
                format!("{} in row {}, column {}", hidden[at], at / d, at % d),
                "finite",
            ));
        }
        let kept = 1.0 - eta * self.weight_decay;
        if !(eta.is_finite() && kept > 0.0) {
            return Err(KernelError::value("eta", eta, "finite, and below 1/weight decay"));
        }
        if m == 0 {
            return Ok(FactoredStep { losses: Vec::new(), grad_hidden: Vec::new() });
        }
        x.fit(m, d)?;
        let target_count = k as f64;

        transpose(hidden, m, d, &mut x.h, Real::f64);
        product(&mut x.products, View::new(&self.square, 3 * d, d), View::new(&x.h, d, m), 1.0, false);
        self.gather(targets, k, &mut x.rows);
        product(&mut x.z, View::new(self.u(), d, d).t(), View::new(&x.rows, m, d).t(), 1.0, false);

        let sums = Sums { h: &x.h, qh: &x.products[..d * m], target_rows: &mut x.z, layer: self, target_count, m };
        let [q, s, outputs, h_omega] = simd::run(sums);
        let partials: Vec<Partials> =
            (0..m).map(|j| loss.value_and_partials(q[j], s[j], outputs[j], self.classes)).collect();
        if let Some(j) = partials.iter().position(|p| !(p.loss + p.dq + p.ds + p.dtarget).is_finite()) {
            return Err(KernelError::value(
                "eta",
                eta,
                format!("smaller: the loss of example {j} has become {}", partials[j].loss),
            ));
        }
        let of = |part: fn(&Partials) -> f64| partials.iter().map(part).collect::<Vec<f64>>();
        let (b, gs, ga) = (of(|p| 2.0 * p.dq), of(|p| p.ds), of(|p| p.dtarget));

        // From here on: b = 2 dloss/dq, B = b h, Z = ga row + gs row_sum, G = b Qh + Z the gradient in h.
        let gradients = Gradients { scratch: x, b: &b, gs: &gs, ga: &ga, row_sum: &self.row_sum, m };
        simd::run(gradients);
        let mut grad_hidden = vec![T::ZERO; m * d];
        transpose(&x.g, d, m, &mut grad_hidden, T::of);

        // With decay, W t - eta G = t (W - (eta/t) G).
        let rate = eta / kept;
        let h = View::new(&x.h, d, m);
        // U^-T h after the step, for the targets' rows: E (I - eta diag(b) H H^T)^-1 with E = U^-T H^T.
        product(&mut x.small, h.t(), h, 1.0, false);
        for (row, b) in x.small.chunks_exact_mut(m).zip(&b) {
            for x in &mut *row {
                *x *= rate * b;
            }
        }
        let singular = || {
            let allowed = "smaller: the step would make the weights singular (2 eta dloss/dq |h|^2 is close to 1)";
            KernelError::value("eta", eta, allowed)
        };
        divide(&mut x.products[2 * d * m..], &mut x.small, &mut x.square, &mut x.spare).ok_or_else(singular)?;

        // Q <- Q - eta (K^T H + H^T K) with K = G - eta/2 P H, and P from the old Q and Z.
        product(&mut x.square, h.t(), View::new(&x.z, d, m), 1.0, false);
        let p = &mut x.small;
        for (j, row) in p.chunks_exact_mut(m).enumerate() {
            for (l, out) in row.iter_mut().enumerate() {
                let shared = targets[j * k..(j + 1) * k].iter();
                let shared: usize =
                    shared.map(|c| targets[l * k..(l + 1) * k].iter().filter(|e| *e == c).count()).sum();
                *out = b[j] * x.square[j * m + l]
                    + b[l] * x.square[l * m + j]
                    + gs[j] * (self.classes as f64 * gs[l] + target_count * ga[l])
                    + ga[j] * target_count * gs[l]
                    + if shared > 0 { ga[j] * ga[l] * shared as f64 } else { 0.0 };
            }
        }
        product(&mut x.g, h, View::new(p, m, m), -0.5 * rate, true);
        product(&mut x.gram, h, View::new(&x.g, d, m).t(), 1.0, false);
        for i in 0..d {
            for j in 0..d {
                self.square[i * d + j] -= rate * (x.gram[i * d + j] + x.gram[j * d + i]);
            }
        }

        // U <- U - eta (U H^T) B and U^-T <- U^-T + eta (U_new^-T H^T) B, in one product.
        x.products[2 * d * m..].iter_mut().for_each(|x| *x = -*x);
        product(
            &mut self.square[d * d..],
            View::new(&x.products[d * m..], 2 * d, m),
            View::new(&x.b, d, m).t(),
            -rate,
            true,
        );
        // The targets' rows: V[c] <- V[c] - eta ga U_new^-T h, here with the sign turned above.
        transpose(&x.products[2 * d * m..], d, m, &mut x.rows, |x| x);
        for ((own, update), ga) in targets.chunks_exact(k).zip(x.rows.chunks_exact(d)).zip(&ga) {
            for &c in own {
                let row = &mut self.v[c * d..(c + 1) * d];
                row.iter_mut().zip(update).for_each(|(v, r)| *v = T::of(v.f64() + rate * ga * r));
            }
        }
        let n = self.classes as f64;
        let shifts: Vec<[f64; 2]> = (0..m)
            .map(|j| [rate * (b[j] * h_omega[j] + gs[j]), rate * (b[j] * s[j] + n * gs[j] + target_count * ga[j])])
            .collect();
        for (i, h) in x.h.chunks_exact(m).enumerate() {
            let [omega, row_sum] =
                h.iter().zip(&shifts).fold([0.0; 2], |[a, b], (h, shift)| [a + h * shift[0], b + h * shift[1]]);
            self.omega[i] -= omega;
            self.row_sum[i] -= row_sum;
        }
        self.scale(kept);

        self.steps += 1;
        let due = |every: u64| every > 0 && self.steps.is_multiple_of(every);
        let (stabilise, recompute) = (due(self.upkeep.stabilise_every), due(self.upkeep.recompute_every));
        if stabilise {
            self.stabilise()?;
        }
        if recompute {
            self.recompute();
        }
        Ok(FactoredStep { losses: partials.iter().map(|p| T::of(p.loss)).collect(), grad_hidden })
    }

    /// `W <- kept W`.
    fn scale(&mut self, kept: f64) {
        if kept == 1.0 {
            return;
        }
        let size = self.dim * self.dim;
        for (part, by) in self.square.chunks_exact_mut(size).zip([kept * kept, kept, 1.0 / kept]) {
            for x in &mut *part {
                *x *= by;
            }
        }
        self.omega.iter_mut().chain(&mut self.row_sum).for_each(|x| *x *= kept);
    }

    /// The sum of the rows of `V` of each example's targets, `[m, dim]`.
    fn gather(&self, targets: &[usize], k: usize, rows: &mut [f64]) {
        let row = |c: usize| &self.v[c * self.dim..(c + 1) * self.dim];
        for (own, out) in targets.chunks_exact(k).zip(rows.chunks_exact_mut(self.dim)) {
            out.iter_mut().zip(row(own[0])).for_each(|(x, v)| *x = v.f64());
            for &c in &own[1..] {
                out.iter_mut().zip(row(c)).for_each(|(x, v)| *x += v.f64());
            }
        }
    }
}

/// What a step writes to before it changes the layer. Matrices of examples are kept transposed, `[dim, m]`: sums over `dim`
/// then run along rows.
#[derive(Debug, Clone, Default)]
pub(super) struct Scratch {
    /// Hidden vectors `[dim, m]`.
    h: Vec<f64>,
    /// `Q h`, `U h`, `U^-T h`, `[3 dim, m]`.
    products: Vec<f64>,
    /// Rows of `V`, then what is added to them, `[m, dim]`.
    rows: Vec<f64>,
    /// Rows of `W`, then `Z + b Qh / 2`, `[dim, m]`.
    z: Vec<f64>,
    /// `G`, then `K`, `[dim, m]`.
    g: Vec<f64>,
    /// `b h`, `[dim, m]`.
    b: Vec<f64>,
    /// `[dim, m]`.
    spare: Vec<f64>,
    /// `[m, m]`.
    small: Vec<f64>,
    /// `[m, m]`.
    square: Vec<f64>,
    /// `[dim, dim]`.
    gram: Vec<f64>,
}

impl Scratch {
    /// Gives everything its size; nothing is allocated for a batch as large as the last one.
    fn fit(&mut self, m: usize, d: usize) -> Result<(), KernelError> {
        let Self { h, products, rows, z, g, b, spare, small, square, gram } = self;
        let sized = [(h, d, m), (products, 3 * d, m), (rows, m, d), (z, d, m), (g, d, m), (b, d, m), (spare, d, m)];
        for (vector, rows, columns) in sized.into_iter().chain([(small, m, m), (square, m, m), (gram, d, d)]) {
            if vector.len() != rows * columns {
                *vector = zeros("a step's work", &[rows, columns])?;
            }
        }
        Ok(())
    }
}

/// For each example `h.Qh`, `h.row_sum`, `h.(row of W)`, `h.omega`; adds `omega` to the rows.
struct Sums<'a, T: Real> {
    h: &'a [f64],
    qh: &'a [f64],
    target_rows: &'a mut [f64],
    layer: &'a FactoredOutputLayer<T>,
    target_count: f64,
    m: usize,
}

impl<T: Real> Work for Sums<'_, T> {
    type Output = [Vec<f64>; 4];

    #[inline(always)]
    fn run<const FMA: bool>(self) -> Self::Output {
        let m = self.m;
        let mut sums = [(); 4].map(|()| vec![0.0; m]);
        let [q, s, o, w] = &mut sums;
        let rows = self.h.chunks_exact(m).zip(self.qh.chunks_exact(m)).zip(self.target_rows.chunks_exact_mut(m));
        for (i, ((h, qh), row)) in rows.enumerate() {
            let (omega, row_sum) = (self.layer.omega[i], self.layer.row_sum[i]);
            for j in 0..m {
                row[j] += self.target_count * omega;
                q[j] = Real::mul_add::<FMA>(h[j], qh[j], q[j]);
                s[j] = Real::mul_add::<FMA>(h[j], row_sum, s[j]);
                o[j] = Real::mul_add::<FMA>(h[j], row[j], o[j]);
                w[j] = Real::mul_add::<FMA>(h[j], omega, w[j]);
            }
        }
        sums
    }
}

/// Writes `G`, `b h` and `Z + b Qh / 2`.
struct Gradients<'a> {
    scratch: &'a mut Scratch,
    b: &'a [f64],
    gs: &'a [f64],
    ga: &'a [f64],
    row_sum: &'a [f64],
    m: usize,
}

impl Work for Gradients<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { scratch: x, b, gs, ga, row_sum, m } = self;
        for (i, row_sum) in row_sum.iter().enumerate() {
            let at = i * m..(i + 1) * m;
            let (h, qh) = (&x.h[at.clone()], &x.products[at.clone()]);
            let (z, g, bh) = (&mut x.z[at.clone()], &mut x.g[at.clone()], &mut x.b[at]);
            for j in 0..m {
                bh[j] = b[j] * h[j];
                let half = 0.5 * b[j] * qh[j];
                z[j] = ga[j] * z[j] + gs[j] * row_sum + half;
                g[j] = z[j] + half;
            }
        }
    }
}

/// `e <- e (I - x)^-1` for `e` `[.., m]` and `x` `[m, m]`; `None` where that is singular. Overwrites the other two.
fn divide(e: &mut [f64], x: &mut [f64], square: &mut [f64], spare: &mut [f64]) -> Option<()> {
    let m = x.len().isqrt();
    let rows = e.len() / m;
    let mut norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
    if norm < SERIES {
        // (I - x)^-1 = (I + x)(I + x^2)(I + x^4) ...
        loop {
            spare.copy_from_slice(e);
            product(e, View::new(spare, rows, m), View::new(x, m, m), 1.0, true);
            norm *= norm;
            if norm < f64::EPSILON / 2.0 {
                return Some(());
            }
            product(square, View::new(x, m, m), View::new(x, m, m), 1.0, false);
            x.copy_from_slice(square);
        }
    }
    let inverse = (DMatrix::identity(m, m) - DMatrix::from_row_slice(m, m, x)).try_inverse()?;
    if inverse.norm() > SINGULAR * (m as f64).sqrt() || !inverse.norm().is_finite() {
        return None;
    }
    spare.copy_from_slice(e);
    // nalgebra's matrices are column-major.
    product(e, View::new(spare, rows, m), View::new(inverse.as_slice(), m, m).t(), 1.0, false);
    Some(())
}

/// A product whose row blocks are shared among threads; the blocks, and so the numbers, do not depend on how many there are.
fn product(out: &mut [f64], a: View<f64>, b: View<f64>, scale: f64, add: bool) {
    let (rows, columns) = (a.rows(), b.columns());
    let block = |(index, out): (usize, &mut [f64])| {
        let start = index * ROWS;
        matmul(out, a.row_range(start..start + out.len() / columns), b, scale, add);
    };
    if rows * columns * a.columns() < PARALLEL {
        out.chunks_mut(ROWS * columns).enumerate().for_each(block);
    } else {
        out.par_chunks_mut(ROWS * columns).enumerate().for_each(block);
    }
}

/// `out[j, i] = f(a[i, j])` for `a` `[rows, columns]`, in tiles that stay in the cache.
fn transpose<A: Copy, B>(a: &[A], rows: usize, columns: usize, out: &mut [B], f: impl Fn(A) -> B) {
    const TILE: usize = 8;
    for i0 in (0..rows).step_by(TILE) {
        for j0 in (0..columns).step_by(TILE) {
            for i in i0..rows.min(i0 + TILE) {
                for j in j0..columns.min(j0 + TILE) {
                    out[j * rows + i] = f(a[i * columns + j]);
                }
            }
        }
    }
}
