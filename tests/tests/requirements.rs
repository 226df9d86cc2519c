//! What docs/requirements.md names exists, and links between documents lead somewhere: the pages must not rot.
//!
//! Knows names only. Whether a test shows what a page says of it is for readers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test reports by panicking")]

use std::path::{Path, PathBuf};

/// Fewer references than this, and the page was not read as it is written.
const REFERENCES_MIN: usize = 200;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// What stands between backticks, outside of blocks of code.
fn code_spans(text: &str) -> Vec<String> {
    let mut spans = Vec::new();
    for line in prose(text) {
        spans.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
    }
    spans
}

/// The lines outside of blocks of code.
fn prose(text: &str) -> Vec<&str> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push(line);
        }
    }
    lines
}

/// Whether Rust source defines a function of this name.
fn defines(source: &str, name: &str) -> bool {
    let after = |(at, found): (usize, &str)| source.get(at + found.len()..).and_then(|rest| rest.chars().next());
    source.match_indices(&format!("fn {name}")).filter_map(after).any(|next| next == '(' || next == '<')
}

/// Whether some package of the workspace has this name.
fn is_package(name: &str) -> bool {
    let named = format!("name = \"{name}\"");
    let rooms = ["functions", "shared", "tools", "edge"];
    let folders = rooms.iter().flat_map(|room| std::fs::read_dir(root().join(room)).unwrap());
    let manifests = folders.map(|folder| folder.unwrap().path().join("Cargo.toml"));
    manifests.filter_map(|manifest| read(&manifest)).any(|manifest| manifest.lines().any(|line| line == named))
}

/// Whether a program of ours knows a command.
fn is_command(package: &str, command: &str) -> bool {
    let folder = match package {
        "evenstock-local" => "tools/local/src/commands",
        "evenstock-bench" => "tools/bench/src",
        _ => return false,
    };
    command.starts_with("--") || root().join(folder).join(format!("{command}.rs")).is_file()
}

/// What is wrong with a reference; `None` for what is right, and for code that refers to nothing.
fn wrong(span: &str) -> Option<String> {
    if let Some((path, name)) = span.split_once("::").filter(|(path, _)| path.contains('/')) {
        let source = read(&root().join(path));
        return (!source.is_some_and(|source| defines(&source, name))).then(|| format!("{path} has no {name}"));
    }
    let mut words = span.split(' ');
    match (words.next(), words.next(), words.next()) {
        (Some("make"), Some(target), _) => {
            let makefile = read(&root().join("Makefile")).unwrap();
            let is_target = makefile.lines().any(|line| line.starts_with(&format!("{target}:")));
            (!is_target).then(|| format!("make has no {target}"))
        }
        (Some("cargo"), Some("run"), Some("-p")) => {
            let package = words.next().unwrap_or_default();
            let command = words.find(|word| *word != "--");
            let fits = is_package(package) && command.is_none_or(|command| is_command(package, command));
            (!fits).then(|| format!("nothing runs by {span}"))
        }
        (Some(path), None, _) if is_path(path) => (!root().join(path).is_file()).then(|| format!("there is no {path}")),
        _ => None,
    }
}

/// Whether code names a file of the repository; routes begin with a slash.
fn is_path(span: &str) -> bool {
    let extension = Path::new(span).extension().and_then(|extension| extension.to_str());
    let is_file = span == ".ci/run" || matches!(extension, Some("rs" | "md" | "yaml" | "json" | "toml"));
    is_file && span.contains('/') && !span.starts_with('/') && !span.contains(['*', '{', '…'])
}

fn is_reference(span: &str) -> bool {
    is_path(span) || ["make ", "cargo run -p "].iter().any(|start| span.starts_with(start)) || {
        span.split_once("::").is_some_and(|(path, _)| path.contains('/'))
    }
}

#[test]
fn everything_that_the_requirements_name_exists() {
    let page = read(&root().join("docs/requirements.md")).unwrap();
    let spans = code_spans(&page);
    let references = spans.iter().filter(|span| is_reference(span)).count();
    assert!(references >= REFERENCES_MIN, "only {references} references were found");
    let wrong: Vec<_> = spans.iter().filter_map(|span| wrong(span)).collect();
    assert!(wrong.is_empty(), "docs/requirements.md: {wrong:#?}");
}

#[test]
fn reference_to_nothing_is_found_out() {
    let nothing = [
        "tests/tests/requirements.rs::no_such_test",
        "tests/tests/no_such_file.rs::everything",
        "tests/tests/requirements.rs::everything_that_the",
        "make nothing",
        "cargo run -p evenstock-nothing",
        "cargo run -p evenstock-local -- nothing",
        "docs/nothing.md",
    ];
    for span in nothing {
        assert!(wrong(span).is_some(), "{span}");
    }
    for span in ["tests/tests/requirements.rs::reference_to_nothing_is_found_out", "/sync/trigger", "state.json"] {
        assert_eq!(wrong(span), None, "{span}");
    }
}

/// The name under which a heading is linked to.
fn anchor(heading: &str) -> String {
    let kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
    heading.trim().to_lowercase().chars().filter(kept).map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

/// Targets of a page's links.
fn links(text: &str) -> Vec<&str> {
    let lines = prose(text).into_iter();
    lines.flat_map(|line| line.split("](").skip(1)).filter_map(|rest| rest.split(')').next()).collect()
}

/// What is wrong with a link of a page.
fn dead(page: &Path, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, heading) = link.split_once('#').unwrap_or((link, ""));
    let target = if path.is_empty() { page.to_owned() } else { page.parent().unwrap().join(path) };
    let told = || Some(format!("{}: {link}", page.strip_prefix(root()).unwrap().display()));
    if !target.exists() {
        return told();
    }
    let headings = read(&target).unwrap_or_default();
    let leads = heading.is_empty()
        || prose(&headings)
            .iter()
            .filter_map(|line| line.strip_prefix('#'))
            .any(|line| anchor(line.trim_start_matches('#')) == heading);
    if leads { None } else { told() }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let folders = [root(), root().join("docs"), root().join("docs/decisions")];
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let pages =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "md"));
    let mut found = Vec::new();
    for page in pages {
        let text = read(&page).unwrap();
        found.extend(links(&text).into_iter().filter_map(|link| dead(&page, link)));
    }
    assert!(found.is_empty(), "links that lead nowhere: {found:#?}");
}
