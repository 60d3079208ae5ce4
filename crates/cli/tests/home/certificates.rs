use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::time::{Duration, SystemTime};

use dx::home::{NodeError, Renewal};
use dx_transport::id::NodeId;
use dx_transport::identity::IdentityError;

use super::{cluster, node};

const DAY: Duration = Duration::from_hours(24);

#[test]
fn a_certificate_is_made_at_the_first_start_and_renewed_in_its_last_third() {
    let root = tempfile::tempdir().unwrap();
    let start = |now| node(root.path(), "n7").start(NodeId(7), now).unwrap().renewal;
    let now = SystemTime::now();
    assert_eq!(start(now), Renewal::Issued);
    let first = node(root.path(), "n7").certificate().unwrap();
    assert_eq!(start(now + 200 * DAY), Renewal::NotDue);
    assert_eq!(node(root.path(), "n7").certificate().unwrap(), first);
    let key = fs::read(root.path().join("local/n7/node.key")).unwrap();
    assert_eq!(start(now + 300 * DAY), Renewal::Renewed);
    let second = node(root.path(), "n7").certificate().unwrap();
    assert!(second.until > first.until + 299 * DAY, "{second:?}");
    assert_eq!(fs::read(root.path().join("local/n7/node.key")).unwrap(), key);
}

#[test]
fn without_the_authoritys_key_an_end_is_foretold_and_then_an_error() {
    let root = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    node(root.path(), "n1").start(NodeId(1), now).unwrap();
    fs::remove_file(root.path().join("local/ca.key")).unwrap();
    let until = node(root.path(), "n1").certificate().unwrap().until;
    let due = node(root.path(), "n1").start(NodeId(1), now + 300 * DAY).unwrap();
    assert_eq!(due.renewal, Renewal::Due(until));
    drop(due);
    let error = node(root.path(), "n1").start(NodeId(1), now + 400 * DAY).unwrap_err();
    assert!(matches!(&error, NodeError::Identity { reason: IdentityError::Certificate(_), .. }));
    assert!(error.to_string().contains("has expired: issue a new one"), "{error}");
    let error = node(root.path(), "n2").start(NodeId(2), now).unwrap_err().to_string();
    assert!(error.contains("on the one where the cluster was created"), "{error}");
}

#[test]
fn a_node_never_runs_under_another_ones_number() {
    let root = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    node(root.path(), "n1").start(NodeId(1), now).unwrap();
    let error = node(root.path(), "n1").start(NodeId(2), now).unwrap_err();
    assert!(matches!(error, NodeError::OtherId { .. }), "{error}");
    node(root.path(), "n1").issue(NodeId(2), now, true).unwrap();
    node(root.path(), "n1").start(NodeId(2), now).unwrap();
}

#[test]
fn a_lost_certificate_is_made_again_and_a_foreign_key_is_named() {
    let root = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let start = || node(root.path(), "n1").start(NodeId(1), now);
    start().unwrap();
    let file = |name: &str| root.path().join("local/n1").join(name);
    let key = fs::read(file("node.key")).unwrap();
    fs::remove_file(file("node.pem")).unwrap();
    assert_eq!(start().unwrap().renewal, Renewal::Issued);
    assert_eq!(fs::read(file("node.key")).unwrap(), key);

    node(root.path(), "n2").start(NodeId(2), now).unwrap();
    fs::copy(root.path().join("local/n2/node.key"), file("node.key")).unwrap();
    let error = start().unwrap_err();
    let is_mismatch =
        matches!(&error, NodeError::Identity { reason: IdentityError::KeyMismatch, .. });
    assert!(is_mismatch, "{error}");
    node(root.path(), "n1").issue(NodeId(1), now, true).unwrap();
    start().unwrap();
}

#[test]
fn a_folder_that_somebody_made_before_is_used_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let folder = cluster(root.path()).path().join("n1");
    fs::DirBuilder::new().mode(0o700).create(&folder).unwrap();
    fs::write(folder.join("log"), "a supervisor's").unwrap();
    let running = node(root.path(), "n1").start(NodeId(1), SystemTime::now()).unwrap();
    assert_eq!(running.renewal, Renewal::Issued);
    assert_eq!(fs::read_to_string(running.node.log()).unwrap(), "a supervisor's");
}

#[test]
fn an_issued_certificate_is_not_replaced_unasked() {
    let root = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    node(root.path(), "n1").issue(NodeId(1), now, false).unwrap();
    let error = node(root.path(), "n1").issue(NodeId(1), now, false).unwrap_err();
    assert!(matches!(error, NodeError::Exists(_)), "{error}");
    let names: Vec<_> = cluster(root.path()).nodes().unwrap();
    assert_eq!(names.iter().map(|node| node.name().as_str()).collect::<Vec<_>>(), ["n1"]);
}
