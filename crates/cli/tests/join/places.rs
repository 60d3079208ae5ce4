use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::SystemTime;

use dx::home::Home;
use dx::join::{Bounds, EnrolError, Refusal, enrol};
use dx_transport::id::NodeId;
use dx_transport::mesh::{Mesh, MeshConfig, PeerEvent};

use super::{Machines, enrolment, folder};

#[tokio::test]
async fn a_machine_that_has_nothing_becomes_a_node() {
    let machines = Machines::new();
    let (token, waiting) = machines.wait(Bounds::default()).await;
    let enrolment = machines.enrolment("n2", 2);
    enrol(&token, enrolment.clone()).await.unwrap();
    let joined = waiting.await.unwrap().unwrap();
    assert_eq!((joined.node.name().as_str(), joined.id), ("n2", NodeId(2)));
    assert_eq!(joined.configuration, enrolment.configuration);

    let cluster = machines.joiner.path().join("dx/local");
    for (file, mode) in [("", 0o700), ("secret", 0o600), ("n2", 0o700), ("n2/node.key", 0o600)] {
        let metadata = fs::metadata(cluster.join(file)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{file}");
    }
    assert!(!cluster.join("ca.key").exists(), "the authority's key has travelled");
    let owner = machines.owner.path().join("dx/local");
    assert!(!owner.join("n2").exists(), "the node's key was elsewhere");
    assert_eq!(fs::read(cluster.join("secret")).unwrap(), fs::read(owner.join("secret")).unwrap());
}

#[tokio::test]
async fn a_node_that_joined_is_believed_by_the_cluster_and_believes_it() {
    let machines = Machines::new();
    let (token, waiting) = machines.wait(Bounds::default()).await;
    enrol(&token, machines.enrolment("n2", 2)).await.unwrap();
    let joined = waiting.await.unwrap().unwrap();
    let now = SystemTime::now();
    let two = joined.node.start(joined.id, now).unwrap();
    let one = machines.enrolment("n1", 1).node.start(NodeId(1), now).unwrap();
    let mut meshes = Vec::new();
    for (id, running) in [(1, &one), (2, &two)] {
        let cluster = running.node.cluster().name().clone();
        let config =
            MeshConfig::new(cluster, NodeId(id), running.incarnation, running.credentials.clone());
        let listen = "tls://127.0.0.1:0".parse().unwrap();
        meshes.push(Mesh::start(config.listen(listen)).await.unwrap());
    }
    meshes[1].add_peer(NodeId(1), vec![]).unwrap();
    meshes[0].add_peer(NodeId(2), meshes[1].endpoints().to_vec()).unwrap();
    let event = meshes[0].event().await;
    assert!(matches!(event, PeerEvent::Up { .. }), "{event:?}");
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused_and_can_be_tried_again() {
    let machines = Machines::new();
    let (token, waiting) = machines.wait(Bounds::default()).await;
    // Another cluster has the same name there.
    let blocker = machines.home(&machines.joiner);
    blocker.create(&"local".parse().unwrap()).unwrap();
    let error = enrol(&token, machines.enrolment("n2", 2)).await.unwrap_err();
    let EnrolError::Refused(Refusal::NotStored(reason)) = &error else { panic!("{error}") };
    assert!(reason.contains("another cluster is called `local` here"), "{reason}");
    fs::remove_dir_all(machines.joiner.path().join("dx/local")).unwrap();
    enrol(&token, machines.enrolment("n2", 2)).await.unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_second_node_finds_its_cluster_and_a_first_one_may_join_again() {
    let machines = Machines::new();
    for (name, id) in [("n2", 2), ("n3", 3), ("n2", 2)] {
        let (token, waiting) = machines.wait(Bounds::default()).await;
        enrol(&token, machines.enrolment(name, id)).await.unwrap();
        let joined = waiting.await.unwrap().unwrap();
        joined.node.start(joined.id, SystemTime::now()).unwrap();
    }
    let running = machines.home(&machines.joiner).open(&"local".parse().unwrap()).unwrap();
    let running = running.node(&"n2".parse().unwrap()).start(NodeId(2), SystemTime::now()).unwrap();
    let (token, _waiting) = machines.wait(Bounds::default()).await;
    let error = enrol(&token, machines.enrolment("n2", 2)).await.unwrap_err().to_string();
    assert!(error.contains("node n2 of cluster local runs already"), "{error}");
    drop(running);
}

#[tokio::test]
async fn a_node_may_join_the_cluster_of_its_own_machine() {
    let machines = Machines::new();
    let home = machines.home(&machines.joiner);
    home.create(&"local".parse().unwrap()).unwrap();
    let (token, waiting) = machines.wait(Bounds::default()).await;
    enrol(&token, enrolment(&home, "n9", 9)).await.unwrap();
    let joined = waiting.await.unwrap().unwrap();
    joined.node.start(NodeId(9), SystemTime::now()).unwrap();
    assert!(home.open(&"local".parse().unwrap()).unwrap().can_issue().unwrap());
}

#[tokio::test]
async fn a_machine_without_the_authoritys_key_enrols_nobody() {
    let machines = Machines::new();
    let (token, waiting) = machines.wait(Bounds::default()).await;
    let enrolment = machines.enrolment("n2", 2);
    fs::remove_file(machines.owner.path().join("dx/local/ca.key")).unwrap();
    let error = enrol(&token, enrolment).await.unwrap_err().to_string();
    assert!(error.contains("on the one where the cluster was created"), "{error}");
    waiting.abort();
}

#[tokio::test]
async fn a_configuration_that_no_node_accepts_is_not_sent() {
    let machines = Machines::new();
    let (token, waiting) = machines.wait(Bounds::default()).await;
    let mut enrolment = machines.enrolment("n2", 2);
    enrolment.configuration = "x".repeat(1024 * 1024).into();
    let error = enrol(&token, enrolment).await.unwrap_err();
    assert!(matches!(error, EnrolError::TooLarge(_)), "{error}");
    enrol(&token, machines.enrolment("n2", 2)).await.unwrap();
    waiting.await.unwrap().unwrap();
}

#[test]
fn an_address_that_nobody_could_dial_needs_another_one_in_the_token() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let root = folder();
        let home = Home::at(root.path());
        let open = async |listen: &str, advertise| {
            dx::join::Invitation::open(listen, advertise, &home, Bounds::default()).await
        };
        let error = open("0.0.0.0:0", None).await.unwrap_err().to_string();
        assert!(error.contains("the token must name one"), "{error}");
        let invitation = open("0.0.0.0:0", Some("node.example:7001")).await.unwrap();
        assert_eq!(invitation.token().address, "node.example:7001");
        for wrong in ["node.example", ":7001", "node.example:0", "node.example:7o01", ""] {
            let error = open("127.0.0.1:0", Some(wrong)).await.unwrap_err().to_string();
            assert!(error.contains("write `host:port`"), "{error}");
        }
        let error = open("no address", None).await.unwrap_err().to_string();
        assert!(error.contains("failed to listen at no address"), "{error}");
    });
}
