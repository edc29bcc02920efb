//! What the docs promise to be shown somewhere is shown there.
#![allow(clippy::unwrap_used, missing_docs)]
use std::fs;
use std::path::Path;

/// `tests/{a,b}.rs` as `tests/a.rs` and `tests/b.rs`.
fn spread(path: &str) -> Vec<String> {
    match path.split_once('{').and_then(|(head, rest)| Some((head, rest.split_once('}')?))) {
        Some((head, (names, tail))) => names.split(',').map(|name| format!("{head}{name}{tail}")).collect(),
        None => vec![path.to_owned()],
    }
}

/// The source of a file, or of all files of a folder.
fn source(path: &Path) -> String {
    if path.is_file() {
        return fs::read_to_string(path).unwrap_or_default();
    }
    fs::read_dir(path).unwrap().map(|entry| source(&entry.unwrap().path())).collect()
}

#[test]
fn each_row_of_the_table_in_sip_md_names_what_shows_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/sip.md")).unwrap();
    let rows = text.lines().skip_while(|line| !line.starts_with("| RFC |")).skip(2);
    let rows: Vec<&str> = rows.take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 25, "{}", rows.len());
    for row in rows {
        let shown_by = row.trim_end_matches([' ', '|']).rsplit_once('|').unwrap().1;
        let named: Vec<&str> = shown_by.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "nothing shows: {row}");
        let mut sources = String::new();
        for name in named {
            if let Some(start) = name.strip_suffix('…') {
                assert!(sources.contains(&format!("fn {start}")), "no test begins with {start}: {row}");
                continue;
            }
            for path in spread(name) {
                let path = root.join(&path);
                assert!(path.exists(), "{} is missing: {row}", path.display());
                sources += &source(&path);
            }
        }
        assert!(sources.contains("#[test]") || sources.contains("::test]"), "no test: {row}");
    }
}
