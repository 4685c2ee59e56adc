//! Generated documents are up to date. `WAXWING_REGENERATE=1 cargo test --test docs` writes them.

use std::path::Path;
use std::{env, fs};

use waxwing::cli::specifications::{self, Conversation};

#[test]
fn the_page_of_the_configuration_is_what_the_program_says() {
    is_up_to_date("docs/configuration.md", &waxwing::config::markdown());
}

#[test]
fn the_page_of_the_budgets_is_what_the_budgets_say() {
    is_up_to_date("docs/budgets.md", &waxwing::limit::markdown());
}

#[test]
fn the_page_of_the_specifications_is_what_manifests_and_conversations_say() {
    is_up_to_date("docs/xeps.md", &specifications::markdown(&conversations()));
}

#[test]
fn the_page_of_the_compliance_suites_is_what_manifests_and_conversations_say() {
    is_up_to_date("docs/compliance.md", &waxwing::cli::compliance::markdown(&conversations()));
}

#[test]
fn the_description_of_the_project_is_what_manifests_say() {
    is_up_to_date("docs/waxwing.doap", &waxwing::cli::doap::doap());
}

#[test]
fn what_the_answers_on_security_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/security.md")).expect("there is the page");
    let mut code = String::new();
    for dir in ["src", "tests"] {
        read_all(&root.join(dir), &mut code);
    }
    let names: Vec<_> = page.split('`').skip(1).step_by(2).collect();
    let is_missing = |name: &&&str| {
        let is_path = ["src/", "tests/", "examples/"].iter().any(|dir| name.starts_with(dir));
        let is_script = name.starts_with("rfc") || name.starts_with("xep-");
        let is_test = name.matches('_').count() >= 3;
        is_path && !root.join(name).exists()
            || is_script && !root.join(format!("tests/scripts/{name}.xmpp")).exists()
            || !is_script && !is_path && is_test && !code.contains(&format!("fn {name}("))
    };
    let missing: Vec<_> = names.iter().filter(is_missing).collect();
    assert!(names.len() > 100, "the page has fewer names than it had");
    assert!(missing.is_empty(), "docs/security.md names what is not there: {missing:?}");
}

/// Paths that the pages name exist. Decisions tell of their own time, and recipes name files to be made.
#[test]
fn the_files_that_documents_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md")];
    let listed = fs::read_dir(root.join("docs")).expect("there are documents");
    pages.extend(listed.map(|entry| entry.expect("it can be listed").path()));
    let mut missing = Vec::new();
    for page in pages.iter().filter(|page| page.extension().is_some_and(|kind| kind == "md")) {
        let text = fs::read_to_string(page).expect("the page can be read");
        for name in text.split('`').skip(1).step_by(2) {
            let is_path = ["src/", "tests/", "examples/", "benches/", "docs/"]
                .iter()
                .any(|dir| name.starts_with(dir) && !name.contains([' ', '*', '<', '$']));
            let is_pattern =
                ["NAME", "NNNN", "SPECIFICATION"].iter().any(|word| name.contains(word));
            if is_path && !is_pattern && !root.join(name).exists() {
                missing.push(format!("{}: {name}", page.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

fn read_all(dir: &Path, code: &mut String) {
    for entry in fs::read_dir(dir).expect("there is a folder") {
        let path = entry.expect("a folder can be read").path();
        if path.is_dir() {
            read_all(&path, code);
        } else if path.extension().is_some_and(|e| e == "rs") {
            code.push_str(&fs::read_to_string(&path).expect("code is text"));
        }
    }
}

/// Those in `tests/scripts`, by name, each with its lines `# covers:`.
fn conversations() -> Vec<Conversation> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    found.sort_by(|a: &Conversation, b| a.name.cmp(&b.name));
    found
}

fn collect(root: &Path, dir: &Path, found: &mut Vec<Conversation>) {
    for entry in fs::read_dir(dir).expect("there are conversations") {
        let path = entry.expect("a folder can be read").path();
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|e| e == "xmpp") {
            let text = fs::read_to_string(&path).expect("a conversation is text");
            let name = path.strip_prefix(root).expect("it is below").with_extension("");
            let name = name.to_str().expect("names are ASCII").replace('\\', "/");
            let covers = text.lines().filter_map(|line| line.strip_prefix("# covers:"));
            let covers = covers.flat_map(|list| list.split(',')).map(|c| covered(&name, c.trim()));
            found.push(Conversation { covers: covers.collect(), name: name.clone() });
        }
    }
}

/// `XEP-0198 §5` taken apart. The form is strict, so that no typing error hides a test.
fn covered(name: &str, text: &str) -> (String, String) {
    let (specification, section) = text.split_once(" §").unwrap_or((text, ""));
    let is_xep = specification.strip_prefix("XEP-").is_some_and(|n| n.len() == 4);
    let is_rfc = specification.strip_prefix("RFC ").is_some_and(|n| n.parse::<u16>().is_ok());
    assert!(is_xep || is_rfc, "{name}: \"{text}\" names no specification");
    let section = if section.is_empty() { String::new() } else { format!("§{section}") };
    (specification.to_owned(), section)
}

/// Compares a file of the project with what it should be, or writes it if that is wanted.
fn is_up_to_date(path: &str, wanted: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if env::var_os("WAXWING_REGENERATE").is_some_and(|value| value == "1") {
        fs::write(&file, wanted).expect("a generated document can be written");
        return;
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    let differs = found.lines().zip(wanted.lines()).position(|(found, wanted)| found != wanted);
    let line = differs.unwrap_or_else(|| found.lines().count().min(wanted.lines().count())) + 1;
    assert!(
        found == wanted,
        "{path} is out of date from line {line} on;\n\
         WAXWING_REGENERATE=1 cargo test --test docs writes it anew"
    );
}
