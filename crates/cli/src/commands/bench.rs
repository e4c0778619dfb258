use crate::args::{BenchArgs, FormArg};
use crate::error::{CliError, INTERRUPTED};
use crate::output;
use crate::progress;
use contrarian::InvalidParameter;
use contrarian_lab::bench::{Case, Form, Measurement, measure, select};
use serde::Serialize;
use std::io::Read;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Cases with a larger textbook matrix are measured only by name: Burn's form holds several of them.
const LARGEST_UNASKED: u64 = 512 << 20;

pub fn run(args: &BenchArgs) -> Result<ExitCode, CliError> {
    if args.rounds == 0 {
        return Err(InvalidParameter::new("rounds", 0, "at least 1").into());
    }
    let cases = cases(args)?;
    if args.list {
        return list(&cases, args.json);
    }
    if args.in_process {
        let [case] = &cases[..] else {
            return Err(CliError::Usage("--in-process measures one case".into()));
        };
        output::print(&serde_json::to_string(&measure(case, args.rounds)).map_err(std::io::Error::other)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let forms: &[Form] = match args.form {
        FormArg::Fused => &[Form::Fused],
        FormArg::Composed => &[Form::Composed],
        FormArg::Both => &[Form::Fused, Form::Composed],
    };
    let mut rows: Vec<Row> = Vec::new();
    let stop = progress::stop_flag();
    let bar = progress::bar("cases");
    for (index, case) in cases.iter().enumerate() {
        let mut row = Row::new(case);
        for (number, form) in forms.iter().enumerate() {
            progress::advance(&bar, index * forms.len() + number, cases.len() * forms.len());
            bar.set_message(format!("{case}, {form}"));
            match in_child(case, *form, args.rounds, &stop) {
                Ok(Some(measurement)) => {
                    // Where nobody sees a bar, a log does.
                    if bar.is_hidden() {
                        eprintln!("{case}, {form}: {:.2} ms", measurement.milliseconds);
                    }
                    row.add(*form, measurement);
                }
                Ok(None) => {}
                Err(reason) => row.failures.push(format!("{case}, {form}: {reason}")),
            }
        }
        if row.fused.is_some() || row.composed.is_some() || !row.failures.is_empty() {
            rows.push(row);
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    bar.finish_and_clear();
    match args.json {
        true => output::print(&serde_json::to_string_pretty(&rows).map_err(std::io::Error::other)?)?,
        false => output::print(&text(&rows, args.rounds))?,
    }
    let failures: Vec<&String> = rows.iter().flat_map(|row| &row.failures).collect();
    for failure in &failures {
        eprintln!("contrarian: {failure}");
    }
    Ok(match () {
        () if stop.load(Ordering::Relaxed) => ExitCode::from(INTERRUPTED),
        () if failures.is_empty() => ExitCode::SUCCESS,
        () => ExitCode::FAILURE,
    })
}

/// The cases that were asked for; without a name those of moderate size.
fn cases(args: &BenchArgs) -> Result<Vec<Case>, CliError> {
    let named = select(&args.case)?;
    if let Some(text) = &args.sizes {
        let sizes: Result<Vec<usize>, _> = text.split('x').map(str::parse).collect();
        let Ok(sizes) = sizes else {
            return Err(InvalidParameter::new("sizes", text, "whole numbers joined by x, such as 4096x128").into());
        };
        let mut families: Vec<Case> = named;
        families.dedup_by_key(|case| case.family.name);
        return families.iter().map(|case| case.family.at(&sizes).map_err(CliError::Usage)).collect();
    }
    if !args.case.is_empty() || args.list {
        return Ok(named);
    }
    let (moderate, large): (Vec<Case>, Vec<Case>) =
        named.into_iter().partition(|case| case.textbook_bytes() <= LARGEST_UNASKED);
    if !large.is_empty() {
        let names: Vec<String> = large.iter().map(Case::to_string).collect();
        eprintln!("note: measured only when named by --case, for their size: {}", names.join(", "));
    }
    Ok(moderate)
}

/// Measures in a process of its own, which the stop flag ends: `None` then.
fn in_child(case: &Case, form: Form, rounds: usize, stop: &AtomicBool) -> Result<Option<Measurement>, String> {
    let rounds = rounds.to_string();
    let mut child = std::env::current_exe()
        .and_then(|program| {
            Command::new(program)
                .args(["bench", "--in-process", "--case", case.family.name, "--sizes", &case.sizes_text()])
                .args(["--rounds", &rounds])
                .envs([form.environment()])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
        })
        .map_err(|error| format!("cannot start a process to measure in: {error}"))?;
    // What the child prints is far smaller than a pipe holds, so it can be read at the end.
    let status = loop {
        if stop.load(Ordering::Relaxed) {
            // It may have ended by itself; either way it is over.
            let _ = child.kill();
            let _ = child.wait();
            return Ok(None);
        }
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    let text = |stream: Option<&mut dyn Read>| {
        let mut text = String::new();
        stream.map(|stream| stream.read_to_string(&mut text));
        text
    };
    let out = text(child.stdout.as_mut().map(|stream| stream as &mut dyn Read));
    if status.success() {
        return serde_json::from_str(&out).map(Some).map_err(|error| format!("no measurement came back: {error}"));
    }
    let message = text(child.stderr.as_mut().map(|stream| stream as &mut dyn Read));
    // Of a panic, what is for the person: not where in the code, nor how to see more of it.
    let for_people =
        |line: &&str| !line.trim().is_empty() && !line.contains("panicked at") && !line.starts_with("note:");
    let reason: Vec<&str> = message.lines().filter(for_people).collect();
    match reason.is_empty() {
        true => Err(format!("it ended with {status} and no message; perhaps memory was short")),
        false => Err(format!("it ended with {status}: {}", reason.join(" "))),
    }
}

/// One case in one or both forms.
#[derive(Serialize)]
struct Row {
    case: String,
    family: &'static str,
    sizes: Vec<usize>,
    fused: Option<Measurement>,
    composed: Option<Measurement>,
    failures: Vec<String>,
}

impl Row {
    fn new(case: &Case) -> Self {
        Self {
            case: case.to_string(),
            family: case.family.name,
            sizes: case.sizes.clone(),
            fused: None,
            composed: None,
            failures: Vec::new(),
        }
    }

    fn add(&mut self, form: Form, measurement: Measurement) {
        match form {
            Form::Fused => self.fused = Some(measurement),
            Form::Composed => self.composed = Some(measurement),
        }
    }
}

fn text(rows: &[Row], rounds: usize) -> String {
    let cells = |row: &Row| {
        let both = [&row.fused, &row.composed];
        let [fused, composed] = both.map(Option::as_ref);
        let milliseconds = |m: Option<&Measurement>| m.map_or("-".into(), |m| format!("{:.2}", m.milliseconds));
        let megabytes = |m: Option<&Measurement>| {
            m.and_then(|m| m.extra_memory).map_or("-".into(), |bytes| format!("{:.1}", bytes as f64 / 1e6))
        };
        let ratio = fused.zip(composed).map(|(fused, composed)| composed.milliseconds / fused.milliseconds);
        vec![
            row.case.clone(),
            milliseconds(fused),
            milliseconds(composed),
            ratio.map_or("-".into(), |ratio| format!("{ratio:.1}")),
            megabytes(fused),
            megabytes(composed),
        ]
    };
    let header = ["case", "fused, ms", "composed, ms", "times faster", "fused, extra MB", "composed, extra MB"];
    let mut out = output::table(&header, rows.iter().map(cells), 1);
    out.push_str(&format!(
        "\nloss and all gradients in f32; median of {rounds} runs; extra: the most memory beyond inputs and their gradients\n"
    ));
    if rows.iter().flat_map(|row| [&row.fused, &row.composed]).flatten().any(|m| m.extra_memory.is_none()) {
        out.push_str("memory is not measured on this system: it has no /proc that tells\n");
    }
    out
}

fn list(cases: &[Case], json: bool) -> Result<ExitCode, CliError> {
    if json {
        let cases: Vec<_> = cases
            .iter()
            .map(|case| {
                serde_json::json!({"case": case.to_string(), "family": case.family.name, "sizes": case.sizes,
                                   "summary": case.family.summary, "textbook_bytes": case.textbook_bytes()})
            })
            .collect();
        output::print(&serde_json::to_string_pretty(&cases).map_err(std::io::Error::other)?)?;
    } else {
        let rows = cases.iter().map(|case| {
            let sizes = case.family.sizes.join("x");
            vec![case.to_string(), case.family.summary.to_string(), sizes]
        });
        output::print(&output::table(&["case", "what it is", "sizes"], rows, 3))?;
    }
    Ok(ExitCode::SUCCESS)
}
