//! Rule: the processing of a stanza is never dropped half-way, so there is no `select!` in `router/` and
//! `modules/`.

use crate::paths::paths;
use crate::source::{Fault, Source, expect_all, lines_of};

#[test]
fn a_pipeline_is_never_inside_a_select() {
    expect_all(select_in_a_pipeline);
}

fn select_in_a_pipeline(source: &Source) -> Vec<Fault> {
    if !source.path.starts_with("router/") && !source.path.starts_with("modules/") {
        return Vec::new();
    }
    let selects = paths(source).into_iter().filter(|path| {
        path.segments.last().is_some_and(|name| ["select", "select_biased"].contains(&&**name))
    });
    selects
        .map(|path| source.fault(path.line(), "`select!` may drop half a pipeline".to_owned()))
        .collect()
}

#[test]
fn a_select_in_a_pipeline_is_found() {
    let faults = |path, text| lines_of(select_in_a_pipeline, path, text);
    let text = "async fn f() {\n    tokio::select! { _ = a => {} }\n} // select!\n";
    assert_eq!(faults("modules/ping.rs", text), [2]);
    assert_eq!(faults("router/iq.rs", text), [2]);
    assert_eq!(faults("c2s/mod.rs", text), []);
    assert_eq!(faults("modules/ping.rs", "use tokio::select;\nfn f() { select!(a => b) }"), [1, 2]);
    assert_eq!(faults("modules/ping.rs", "fn f() { m!(tokio::select!(a => b)) }"), [1]);
    assert_eq!(faults("modules/ping.rs", "fn f() { a.select(b) }"), []);
}
