//! Every mistake in a job file has a file in `wrong/` that makes it, and a snapshot of what is said
//! about it. `INSTA_UPDATE=always` writes the snapshots anew.

use std::fs;
use std::path::Path;

use dx::config::{Layer, Report, Source, job_file};

fn read(name: &str, text: &str, sets: &[&str]) -> Result<job_file::JobFile, Report> {
    let mut sources = vec![Source::new(Layer::File, name, text)];
    sources.extend(sets.iter().map(|set| Source::new(Layer::Set, "--set", *set)));
    let file = job_file::read(sources)?;
    let problems = file.spec.problems();
    if problems.is_empty() { Ok(file) } else { Err(file.report(&problems)) }
}

/// What is wrong with a file of one job, or of several.
fn mistake(name: &str, text: &str) -> Option<Report> {
    let source = Source::new(Layer::File, name, text);
    if !job_file::has_several(&source) {
        return read(name, text, &[]).err();
    }
    match job_file::read_several(vec![source]) {
        Ok(file) => file.problems(),
        Err(report) => Some(report),
    }
}

#[test]
fn each_mistake_is_shown_where_it_stands_with_what_would_be_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jobs/wrong");
    let entries = folder.read_dir().unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(names.len() >= 5, "the files were not found: {names:?}");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("wrong-shown");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for name in names {
            let text = fs::read_to_string(folder.join(&name)).unwrap();
            let report = mistake(&name, &text).expect(&name);
            insta::assert_snapshot!(name.replace('.', "-"), report.to_string());
        }
    });
}

#[test]
fn what_is_set_is_checked_as_files_are() {
    let text = "[[commands]]\nexec = [\"true\"]\n";
    let message = |set: &str| {
        let report = read("job.toml", text, &[set]).expect_err(set);
        let problem = &report.problems[0];
        format!("{} | {}", problem.message, problem.label)
    };
    assert_eq!(message("prioritty=3"), "there is no key `prioritty` | did you mean `priority`?");
    assert_eq!(
        message("priority=high"),
        "`priority` is wrong | expected a whole number, found a text"
    );
    assert_eq!(message("priority"), "this sets nothing | ");
    assert_eq!(message("=3"), "a key is missing here | ");
    assert_eq!(
        message("max_attempts=3"),
        "there is no key `max_attempts` | did you mean `retry.max_attempts`?"
    );
    let set = ["priority=3", "retry.max_attempts=2", "retry.on=exit,oom", "output.capture=merge"];
    let spec = read("job.toml", text, &set).unwrap_or_else(|report| panic!("{report}")).spec;
    assert_eq!((spec.priority, spec.retry.max_attempts, spec.retry.on.len()), (3, 2, 2));
}
