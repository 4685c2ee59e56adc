//! Suggestions for misspelt names.

/// The most similar name to a misspelt one, if one is similar enough.
pub(super) fn nearest<'a>(misspelt: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let spelling = |name: &str| name.to_lowercase().replace('-', "_");
    let misspelt = spelling(misspelt);
    names
        .map(|name| (strsim::jaro_winkler(&misspelt, &spelling(name)), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}
