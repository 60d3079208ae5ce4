//! The name of a user of this machine.

use std::fs;

use dx_scheduler::api::{Caller, Scope};

/// Whoever asks by the control socket: the user's name, and everything allowed.
pub fn caller(uid: Option<u32>) -> Caller {
    let name = uid.map_or_else(|| "unknown".to_owned(), name);
    Caller { name, scope: Scope::Admin }
}

/// The name that `/etc/passwd` has for `uid`, or else the number.
fn name(uid: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    of(&users, uid).unwrap_or_else(|| uid.to_string())
}

fn of(users: &str, uid: u32) -> Option<String> {
    let uid = uid.to_string();
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_called_as_the_machine_calls_it() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(of(users, 0).unwrap(), "root");
        assert_eq!(of(users, 1000).unwrap(), "ann");
        assert_eq!(of(users, 100), None);
        assert_eq!(name(4_000_000_000), "4000000000");
    }
}
