//! Which documents of an account (`DocumentStore`) are in the download of its data. Each kind is in one of the two lists.

/// What belongs to the user: the card, private data, lists and choices.
pub(super) const EXPORTED: [&str; 13] = [
    "archive-preferences",
    "archive-retention",
    "blocked",
    "bookmarks",
    "last",
    "new-devices",
    "private",
    "push",
    "room-bookmarks",
    "strangers",
    "strangers-known",
    "strangers-waiting",
    "vcard",
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::EXPORTED;

    /// What is left out, and why.
    const LEFT_OUT: [(&str, &str); 5] = [
        ("component", "it belongs to the host"),
        ("report", "it belongs to the host, and is about others"),
        ("revoked-certificate", "a fingerprint of a login that is refused"),
        ("s2s", "it belongs to the host"),
        ("token", "hashes of secrets of logins: the devices are in a list of their own"),
    ];

    /// The words of the constants in which the source has kinds of documents.
    fn kinds(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                kinds(&path, found);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let is_about_documents = text.contains("documents()") || text.contains("documents\n");
            for line in text.lines().filter(|_| is_about_documents) {
                let names = ["KIND", "POLICY", "KNOWN", "REVOKED", "WAITING"];
                let Some((name, value)) = line.split_once(": &str = \"") else { continue };
                let name = name.rsplit(' ').next().unwrap_or_default();
                if names.contains(&name) {
                    found.extend(value.split('"').next().map(str::to_owned));
                }
            }
        }
    }

    #[test]
    fn each_kind_of_documents_is_exported_or_there_is_a_reason() {
        let mut found = Vec::new();
        kinds(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        assert!(found.len() >= 12, "{found:?}");
        for kind in found {
            let is_exported = EXPORTED.contains(&kind.as_str());
            let is_left_out = LEFT_OUT.iter().any(|(known, _)| *known == kind);
            assert!(is_exported != is_left_out, "{kind}");
        }
    }
}
