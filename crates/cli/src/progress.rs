use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// A bar on standard error, hidden when that is not a terminal.
pub fn bar(label: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{msg} {bar:32} {pos}/{len}, {elapsed} so far, about {eta} left")
        .expect("the template is constant and valid");
    bar.set_style(style);
    bar.set_message(label.to_string());
    bar
}

/// Shows `done` of `total` on a bar.
pub fn advance(bar: &ProgressBar, done: usize, total: usize) {
    bar.set_length(total as u64);
    bar.set_position(done as u64);
}

/// A flag that Ctrl-C (or a termination signal) sets, so that work ends between two steps and keeps its results. A
/// second Ctrl-C ends the process at once.
pub fn stop_flag() -> Arc<AtomicBool> {
    static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    FLAG.get_or_init(|| {
        let flag = Arc::new(AtomicBool::new(false));
        let shared = flag.clone();
        let installed = ctrlc::set_handler(move || {
            if shared.swap(true, Ordering::Relaxed) {
                std::process::exit(i32::from(crate::error::INTERRUPTED));
            }
            eprintln!("\nstopping: what is finished is kept (press Ctrl-C again to end at once)");
        });
        if let Err(error) = installed {
            eprintln!("contrarian: Ctrl-C will end the run without results: {error}");
        }
        flag
    })
    .clone()
}
