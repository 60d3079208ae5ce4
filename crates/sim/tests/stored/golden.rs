//! Files that say what comes out. `UPDATE_GOLDEN=1` writes them anew: then read the difference.

use std::path::Path;

/// Whether files are to be written and not compared.
pub fn is_update() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

/// `actual` is what the file has; its path is from the package's folder.
pub fn assert_stored(path: &str, actual: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if is_update() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, actual).unwrap();
    }
    let stored = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        stored == actual,
        "{path} is not what comes out now, which is\n{actual}\n\
         If that is right: UPDATE_GOLDEN=1 cargo test -p dx-sim"
    );
}
