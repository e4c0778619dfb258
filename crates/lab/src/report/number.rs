//! Numbers as a person reads them.

/// What stands where there is no number.
pub const MISSING: &str = "n/a";

/// `value` with a fixed number of decimals, a true minus sign, and no negative zero.
pub fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return MISSING.to_owned();
    }
    if value.abs() >= 1e7 {
        return minus(&format!("{value:.2e}"));
    }
    let text = format!("{value:.decimals$}");
    if text.starts_with('-') && text.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.')) {
        return text[1..].to_owned();
    }
    minus(&text)
}

/// Like [`fixed`], with a plus sign where the number is positive.
pub fn signed(value: f64, decimals: usize) -> String {
    let text = fixed(value, decimals);
    let is_zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    if value > 0.0 && value.is_finite() && !is_zero { format!("+{text}") } else { text }
}

/// An interval for a table: `[0.71, 0.78]`; empty where it has no ends.
pub fn interval(low: f64, high: f64, decimals: usize) -> String {
    if low.is_finite() && high.is_finite() {
        format!("[{}, {}]", fixed(low, decimals), fixed(high, decimals))
    } else {
        String::new()
    }
}

/// A p-value: two digits that matter, never `0`.
pub fn p_value(p: f64) -> String {
    if !p.is_finite() {
        MISSING.to_owned()
    } else if p < 0.001 {
        "< 0.001".to_owned()
    } else if p < 0.1 {
        format!("{p:.3}")
    } else {
        format!("{p:.2}")
    }
}

/// A p-value in a sentence: `p = 0.02`, `p < 0.001`.
pub fn p_phrase(p: f64) -> String {
    let text = p_value(p);
    // Held together: a line that ends in "p =" reads badly.
    let text = if text.starts_with('<') { format!("p {text}") } else { format!("p = {text}") };
    text.replace(' ', "\u{a0}")
}

/// Decimals that show intervals of these half-widths with about two digits that matter.
pub fn decimals_for(half_widths: impl IntoIterator<Item = f64>) -> usize {
    let mut widths: Vec<f64> = half_widths.into_iter().filter(|width| width.is_finite() && *width > 0.0).collect();
    if widths.is_empty() {
        return 3;
    }
    widths.sort_by(f64::total_cmp);
    let typical = widths[widths.len() / 2];
    ((-typical.log10()).ceil() + 1.0).clamp(1.0, 5.0) as usize
}

/// A duration: `0.34 s`, `12 s`, `3 min 20 s`, `2 h 05 min`.
pub fn seconds(value: f64) -> String {
    if !value.is_finite() || value < 0.0 {
        MISSING.to_owned()
    } else if value < 0.0995 {
        format!("{:.2} ms", value * 1000.0)
    } else if value < 9.95 {
        format!("{value:.2} s")
    } else if value < 99.5 {
        format!("{value:.0} s")
    } else if value < 3600.0 {
        let whole = value.round() as u64;
        format!("{} min {:02} s", whole / 60, whole % 60)
    } else {
        let minutes = (value / 60.0).round() as u64;
        format!("{} h {:02} min", count((minutes / 60) as usize), minutes % 60)
    }
}

/// A count with thousands set apart: `48 842`.
pub fn count(value: usize) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        // A narrow no-break space: a comma or a point would be read as a decimal sign somewhere.
        if index > 0 && (digits.len() - index).is_multiple_of(3) && digits.len() > 4 {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A rate such as steps a second: whole from ten on, one decimal below.
pub fn rate(value: f64) -> String {
    if !value.is_finite() || value < 0.0 {
        MISSING.to_owned()
    } else if (10.0..1e15).contains(&value) {
        count(value.round() as usize)
    } else {
        fixed(value, 1)
    }
}

/// A share as a percentage: `3.2%`, `57%`.
pub fn percent(share: f64) -> String {
    if !share.is_finite() {
        MISSING.to_owned()
    } else if share > 0.0 && share < 0.0005 {
        "< 0.1%".to_owned()
    } else if (0.1..=0.9).contains(&share) || share == 0.0 || share == 1.0 {
        format!("{:.0}%", share * 100.0)
    } else {
        format!("{:.1}%", share * 100.0)
    }
}

/// Bytes in binary units: `412 MiB`.
pub fn bytes(value: u64) -> String {
    let mebibytes = value as f64 / (1024.0 * 1024.0);
    if mebibytes >= 1024.0 { format!("{:.1} GiB", mebibytes / 1024.0) } else { format!("{mebibytes:.0} MiB") }
}

/// `1 split`, `10 splits`.
pub fn plural(value: usize, one: &str, many: &str) -> String {
    format!("{} {}", count(value), if value == 1 { one } else { many })
}

/// Names in a sentence: `a`, `a and b`, `a, b and c`; from `most` names on, how many more there are.
pub fn list(names: &[&str], most: usize) -> String {
    if names.len() > most {
        return format!("{} and {} more", names[..most].join(", "), names.len() - most);
    }
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [init @ .., last] => format!("{} and {last}", init.join(", ")),
    }
}

fn minus(text: &str) -> String {
    text.replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(fixed(-0.0004, 3), "0.000");
        assert_eq!(fixed(-0.25, 2), "\u{2212}0.25");
        assert_eq!(fixed(f64::NAN, 3), MISSING);
        assert_eq!(signed(0.0214, 3), "+0.021");
        assert_eq!(signed(0.0, 3), "0.000");
        assert_eq!(p_value(0.000_02), "< 0.001");
        assert_eq!(p_phrase(0.034), "p\u{a0}=\u{a0}0.034");
        assert_eq!(count(48842), "48\u{202f}842");
        assert_eq!(count(4884), "4884");
        assert_eq!(seconds(200.0), "3 min 20 s");
        assert_eq!(seconds(7500.0), "2 h 05 min");
        assert_eq!(percent(0.032), "3.2%");
        assert_eq!(percent(0.000_2), "< 0.1%");
        assert_eq!(list(&["a", "b", "c"], 5), "a, b and c");
        assert_eq!(list(&["a", "b", "c"], 2), "a, b and 1 more");
    }

    #[test]
    fn decimals_follow_the_width_of_the_intervals() {
        assert_eq!(decimals_for([0.012]), 3);
        assert_eq!(decimals_for([0.2]), 2);
        assert_eq!(decimals_for([f64::NAN]), 3);
        assert_eq!(decimals_for([1e-12]), 5);
    }
}
