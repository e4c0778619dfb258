use super::setup;
use crate::args::CleanArgs;
use crate::error::{CliError, INTERRUPTED};
use crate::output;
use crate::progress;
use contrarian::registry::{did_you_mean, suggest};
use contrarian_lab::cleaning::{CleanConfig, Cleaning, Suspect, Trusted, cleaning_html, find_suspects, suspects_csv};
use contrarian_lab::data::{DataError, Features, Problem, TableEncoder, load_csv};
use contrarian_lab::report::number::{fixed, percent};
use contrarian_lab::report::write_atomically;
use std::path::Path;
use std::process::ExitCode;

/// Suspects on the terminal; the file has all.
const MOST: usize = 15;

pub fn run(args: &CleanArgs) -> Result<ExitCode, CliError> {
    if !args.data.images.is_empty() {
        return Err(CliError::Usage("wrong labels are sought in tables: name a CSV file with --data".into()));
    }
    let (problem, numbers) = load(args)?;
    let trusted = args.clean.as_deref().map(|path| trusted(path, args, &problem)).transpose()?;
    let mut config = CleanConfig::new();
    config.negative_class = args.negative_class.as_deref().map(|name| class(&problem, name)).transpose()?;
    (config.k, config.splits, config.seed) = (args.k, args.splits, args.seed);
    config.check()?;
    let folder = output::run_folder(args.out.as_deref(), "clean")?;
    for note in &problem.notes {
        eprintln!("note: {note}");
    }
    let stop = progress::stop_flag();
    let bar = progress::bar(&problem.name);
    let advance = |done, total| progress::advance(&bar, done, total);
    let found = find_suspects(&problem, &numbers, trusted, &config, &advance, &stop);
    bar.finish_and_clear();
    let found = found?;
    // Printed before the files are written: a full disk must not cost the results.
    if args.json {
        output::print(&serde_json::to_string_pretty(&found).map_err(std::io::Error::other)?)?;
    } else {
        output::print(&text(&found))?;
    }
    let (list, report) = (folder.join("suspects.csv"), folder.join("report.html"));
    write_atomically(&list, suspects_csv(&found)?.as_bytes())?;
    write_atomically(&report, cleaning_html(&found).as_bytes())?;
    eprintln!("all suspects: {} (row 1 is the first below a header)\nreport: {}", list.display(), report.display());
    Ok(if found.interrupted { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS })
}

/// The data set, and the number of each of its rows: in a file 1 is the first below the header.
fn load(args: &CleanArgs) -> Result<(Problem, Vec<usize>), CliError> {
    let [path] = &args.data.data[..] else {
        let problem = setup::problem(&args.data)?;
        if problem.features.image_shape().is_some() {
            return Err(CliError::Usage(format!(
                "wrong labels are sought in tables, and `{}` has images",
                problem.name
            )));
        }
        let numbers = (1..=problem.labels.len()).collect();
        return Ok((problem, numbers));
    };
    let (table, target, guessed) = setup::read_table(path, &args.data)?;
    let column = &table.columns[table.position(&target)?].values;
    let cells: Vec<Option<String>> = (0..table.rows()).map(|row| column.text(row)).collect();
    let problem = setup::from_table(table, &target, guessed, &args.data)?;
    // Rows without a target and those of rare classes are not in the problem.
    let kept = |cell: &Option<String>| cell.as_ref().is_some_and(|class| problem.classes.contains(class));
    let numbers = (1..).zip(&cells).filter(|(_, cell)| kept(cell)).map(|(number, _)| number).collect();
    Ok((problem, numbers))
}

fn class(problem: &Problem, name: &str) -> Result<usize, DataError> {
    problem.classes.iter().position(|class| class == name).ok_or_else(|| {
        let hint = did_you_mean(suggest(name, problem.classes.iter().map(String::as_str)).as_deref());
        let reason = format!("there is no class `{name}`{hint}; the classes are {}", problem.classes.join(", "));
        DataError::Target { target: problem.target.clone(), reason }
    })
}

/// Rows whose labels are right, from a file with the columns of the data.
fn trusted(path: &Path, args: &CleanArgs, problem: &Problem) -> Result<Trusted, CliError> {
    let of_file = |error: DataError| CliError::Failed(format!("{}: {error}", path.display()));
    let Features::Columns(columns) = &problem.features else { unreachable!("images were refused") };
    let table = load_csv(path, &setup::csv_options(&args.data))?;
    let target = &table.columns[table.position(&problem.target).map_err(of_file)?].values;
    let every_row: Vec<usize> = (0..problem.labels.len()).collect();
    let (mut columns, _) = TableEncoder::fit(columns, &every_row).align(&table).map_err(of_file)?;
    let (mut rows, mut labels) = (Vec::new(), Vec::new());
    for row in 0..table.rows() {
        let Some(cell) = target.text(row) else { continue };
        let label = class(problem, &cell).map_err(|error| {
            CliError::Failed(format!("{}, row {}: {error}; correct or leave out such rows", path.display(), row + 1))
        })?;
        rows.push(row);
        labels.push(label);
    }
    if rows.is_empty() {
        let reason = format!("no row has a `{}`, so nothing is known to be right", problem.target);
        return Err(CliError::Failed(format!("{}: {reason}", path.display())));
    }
    for column in &mut columns {
        column.values = column.values.gather(&rows);
    }
    Ok(Trusted { features: Features::Columns(columns), labels })
}

fn text(found: &Cleaning) -> String {
    let mut out = String::new();
    if !found.suspects.is_empty() {
        let header = ["row", "given", "suggested", "evidence", "p(given)", "neighbours with given"];
        out += &output::table(&header, found.suspects.iter().take(MOST).map(row), 3);
        out += "\n";
        if found.suspects.len() > MOST {
            out += &format!("the first {MOST} of {}; suspects.csv has all\n", found.suspects.len());
        }
        out += "\n";
    }
    out + &found.sentences().join("\n") + "\n"
}

fn row(suspect: &Suspect) -> Vec<String> {
    vec![
        suspect.row.to_string(),
        suspect.given.clone(),
        suspect.suggested.clone(),
        fixed(suspect.evidence, 3),
        fixed(suspect.probability, 3),
        percent(suspect.agreeing),
    ]
}
