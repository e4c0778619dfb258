//! The choice of vector instructions when the program runs.
//!
//! Kernels are written once, as plain loops over blocks of [`LANES`] numbers without branches. [`run`] compiles such a
//! loop for several instruction sets and picks the best one that the processor has. Because sums keep the same [`LANES`]
//! partial sums everywhere, the sets differ only in how a multiplication and the addition after it are rounded.

use std::sync::OnceLock;

/// How many partial sums a loop keeps.
pub const LANES: usize = 16;

/// A set of vector instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What the compilation target always has.
    Scalar,
    /// AVX2 with fused multiply-add.
    Avx2,
    /// AVX-512 (F and VL) as well.
    Avx512,
}

impl Level {
    /// The best set of this processor.
    ///
    /// The environment variable `CONTRARIAN_SIMD` (`scalar`, `avx2` or `avx512`) lowers it, read once a process: for tests
    /// and to find out whether a wrong number comes from vector code.
    pub fn current() -> Self {
        static CURRENT: OnceLock<Level> = OnceLock::new();
        *CURRENT.get_or_init(|| {
            let best = detect();
            match std::env::var("CONTRARIAN_SIMD").as_deref() {
                Ok("scalar") => Self::Scalar,
                Ok("avx2") => best.min(Self::Avx2),
                _ => best,
            }
        })
    }
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Level {
    let has = |yes: bool, level: Level| yes.then_some(level);
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let avx512 = avx2 && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl");
    has(avx512, Level::Avx512).or(has(avx2, Level::Avx2)).unwrap_or(Level::Scalar)
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> Level {
    Level::Scalar
}

/// A piece of work that is compiled for every [`Level`].
///
/// `run` must be `#[inline(always)]`, and so must everything in it that is to use vector instructions: only then is it
/// compiled with them. `FMA` says whether a fused multiply-add is one instruction (see [`Real::mul_add`]).
///
/// [`Real::mul_add`]: crate::Real::mul_add
pub trait Work {
    /// What it computes.
    type Output;

    /// Does the work.
    fn run<const FMA: bool>(self) -> Self::Output;
}

/// Does the work with the best instructions of this processor.
pub fn run<W: Work>(work: W) -> W::Output {
    run_at(Level::current(), work)
}

/// Does the work with the instructions of `level`, or the best there are where the processor lacks them.
pub fn run_at<W: Work>(level: Level, work: W) -> W::Output {
    match level.min(Level::current()) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Level::current` is at least `level` only where the processor was found to have these instructions.
        Level::Avx512 => unsafe { run_avx512(work) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Level::Avx2 => unsafe { run_avx2(work) },
        _ => work.run::<false>(),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<W: Work>(work: W) -> W::Output {
    work.run::<true>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
fn run_avx512<W: Work>(work: W) -> W::Output {
    work.run::<true>()
}
