//! x
/// x
pub struct Chart {}
/// x
pub fn page(_title: &str, _charts: &[Chart]) -> String {
    String::new()
}
