//! Alerts and dashboard, read by the program of Prometheus. Expressions are in a language that only Prometheus reads.

use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

/// Runs `promtool`. Without it nothing is checked, unless the test must have it (`.ci/run`).
fn promtool(arguments: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    match Command::new("promtool").args(arguments).current_dir(root).output() {
        Ok(checked) => {
            let said = String::from_utf8_lossy(&checked.stdout);
            let failed = String::from_utf8_lossy(&checked.stderr);
            assert!(checked.status.success(), "{arguments:?}: {said}{failed}");
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            assert!(std::env::var_os("WAXWING_ALL_TOOLS").is_none(), "there is no promtool");
            #[expect(clippy::print_stderr, reason = "who runs the tests should know")]
            {
                eprintln!(
                    "not checked: there is no promtool on the PATH (it comes with Prometheus)"
                );
            }
        }
        Err(error) => panic!("promtool: {error}"),
    }
}

#[test]
fn alerts_are_rules() {
    promtool(&["check", "rules", "docs/monitoring/alerts.yml"]);
}

/// Each alert is in the file of tests, twice: for a server that is well, and for one that is not.
#[test]
fn each_alert_fires_when_it_must_and_not_before() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(root.join(path)).expect("the file is there");
    let (alerts, tests) =
        (read("docs/monitoring/alerts.yml"), read("tests/monitoring/alerts_test.yml"));
    let names: Vec<_> = alerts.lines().filter_map(|line| line.split_once("- alert: ")).collect();
    assert!(names.len() >= 9, "{names:?}");
    for (_, name) in names {
        assert_eq!(tests.matches(&format!("alertname: {name}")).count(), 2, "{name}");
    }
    promtool(&["test", "rules", "tests/monitoring/alerts_test.yml"]);
}

/// The expressions of the dashboard, as rules.
#[test]
fn each_panel_of_the_dashboard_is_an_expression() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/monitoring/grafana.json")).expect("it is there");
    let dashboard: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    let mut count = 0;
    for panel in dashboard["panels"].as_array().expect("there are panels") {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().expect("it has an expression");
            let plain = expression.replace("$__rate_interval", "5m").replace("$instance", ".+");
            assert!(!plain.contains('$'), "an unknown variable: {expression}");
            let quoted = serde_json::Value::from(plain);
            writeln!(rules, "      - {{ record: 'panel:{count}', expr: {quoted} }}")
                .expect("writing to a string does not fail");
            count += 1;
        }
    }
    assert!(count >= 30, "{count}");
    let folder = tempfile::tempdir().expect("there is a place");
    let path = folder.path().join("panels.yml");
    fs::write(&path, rules).expect("it can be written");
    promtool(&["check", "rules", path.to_str().expect("it is UTF-8")]);
}
