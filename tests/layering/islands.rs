//! Rule: features are islands. A feature of `src/modules/` names no other feature.

use crate::paths::{Place, paths};
use crate::source::{Fault, Source, expect_all, lines_of};

#[test]
fn features_do_not_know_each_other() {
    expect_all(names_of_other_features);
}

fn names_of_other_features(source: &Source) -> Vec<Fault> {
    let module = source.module();
    let [folder, feature, ..] = module.as_slice() else { return Vec::new() };
    if folder != "modules" {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for path in paths(source) {
        let absolute = path.absolute().unwrap_or_default();
        let other = match absolute.as_slice() {
            [folder] if folder == "modules" && path.place == Place::Glob => "*",
            [folder, other, ..] if folder == "modules" && other != feature => other,
            _ => continue,
        };
        // `crate::modules::ALL` is no feature.
        if !other.starts_with(char::is_uppercase) || path.segments[0] == "super" {
            let what = format!("`{feature}` may not know `{other}`: features are islands");
            faults.push(source.fault(path.line(), what));
        }
    }
    faults
}

#[test]
fn a_feature_that_knows_another_is_found() {
    let faults = |path, text| lines_of(names_of_other_features, path, text);
    assert_eq!(faults("modules/carbons.rs", "\nuse crate::modules::mam;"), [2]);
    assert_eq!(faults("modules/carbons.rs", "use super::mam;"), [1]);
    assert_eq!(faults("modules/carbons.rs", "use super::*;"), [1]);
    assert_eq!(faults("modules/carbons.rs", "use crate::modules::*;"), [1]);
    assert_eq!(faults("modules/carbons.rs", "fn f() { g!(super::mam::keep()) }"), [1]);
    assert_eq!(faults("modules/mam/query.rs", "use super::super::carbons;"), [1]);
    assert_eq!(faults("modules/mam/query.rs", "use crate::modules::mam::keep;"), []);
    assert_eq!(faults("modules/mam/query.rs", "use super::keep;"), []);
    assert_eq!(faults("modules/mod.rs", "use self::mam; use crate::modules::mam;"), []);
    assert_eq!(faults("modules/commands.rs", "use crate::modules::ALL;"), []);
    assert_eq!(faults("modules/carbons.rs", "#[cfg(test)] mod tests { use super::*; }"), []);
}
