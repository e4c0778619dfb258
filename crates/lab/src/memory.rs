//! Resident memory of this process, where the system tells (Linux: `/proc`).

/// Bytes in memory now.
pub fn resident() -> Option<u64> {
    status("VmRSS:")
}

/// The most bytes that were in memory at once, since the process began or [`reset_peak`] last succeeded.
pub fn peak() -> Option<u64> {
    status("VmHWM:")
}

/// Lets [`peak`] start again from [`resident`]; `false` where the system does not.
pub fn reset_peak() -> bool {
    // See proc(5): writing 5 resets the high-water mark.
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

fn status(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_keeps_what_is_gone_until_it_is_reset() {
        let Some(before) = resident() else {
            println!("skipped: this system does not tell");
            return;
        };
        let size = 256 << 20;
        let block = std::hint::black_box(vec![1u8; size]);
        drop(block);
        let peak_with_block = peak().unwrap();
        assert!(peak_with_block > before + size as u64 / 2, "{before} {peak_with_block}");
        if reset_peak() {
            assert!(peak().unwrap() < peak_with_block);
        }
    }
}
