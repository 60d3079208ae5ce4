//! What kinds of agents may ask of their attributes.

use dx::config::show::{settings, text};
use dx::config::{Kinds, load};
use dx_agents::{Agent, AgentId, AttrError, Context, Message, Registry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{file, set, variable};

#[derive(Serialize, Deserialize, JsonSchema)]
struct Vault {
    #[schemars(extend("writeOnly" = true))]
    token: String,
    #[serde(default)]
    size: u8,
}

const VAULT: &str = "[node.n1]\nid = 1\naddress = \"h:1\"\n\
                     [agent.1]\nkind = \"vault\"\nnode = \"n1\"\n";

#[test]
fn a_secret_is_never_shown() {
    let kinds = Kinds::new().attr::<Vault>("vault");
    let right = file("a.toml", &format!("{VAULT}attr = {{ token = \"hunter2\", size = 3 }}\n"));
    let loaded = load(vec![right.clone()], &kinds).unwrap();
    assert_eq!(loaded.cluster.agents[0].attr["token"], "hunter2");
    let shown = text(&settings(&loaded));
    assert!(shown.contains("agent.1.attr.token = \"********\""), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    let wrong = file("a.toml", &format!("{VAULT}attr = {{ token = \"hunter2\", size = 300 }}\n"));
    for sources in [
        vec![wrong],
        vec![right.clone(), set("agent.1.attr={token=\"hunter2\",size=300}")],
        vec![right, variable("DX_AGENT__1__ATTR__TOKEN", "hunter2"), set("cluster.x=1")],
    ] {
        let report = load(sources, &kinds).unwrap_err();
        assert!(!format!("{report}{report:?}").contains("hunter2"), "{report}");
    }
}

#[derive(Serialize, Deserialize)]
struct Nothing;

impl Message for Nothing {
    const NAME: &'static str = "nothing";
}

struct Picky;

impl Agent for Picky {
    type Message = Nothing;

    fn message(&mut self, _: AgentId, _: Nothing, _: &mut Context) {}
}

#[test]
fn a_registry_checks_what_no_schema_can() {
    let registry =
        Registry::new().kind("picky", |spec, directory| match directory.by_kind("picky").len() {
            2 => Ok(Picky),
            _ if spec.attr["alone"] == true => Ok(Picky),
            count => Err(AttrError::new("alone", format!("there are {count} picky agents"))),
        });
    let text = "[node.n1]\nid = 1\naddress = \"h:1\"\n\
                [agent.1]\nkind = \"picky\"\nnode = \"n1\"\nattr.alone = false\n";
    let kinds = Kinds::of(&registry);
    let report = load(vec![file("a.toml", text)], &kinds).unwrap_err();
    assert_eq!(report.problems[0].message, "agent 1: there are 1 picky agents");
    let place = report.problems[0].place.as_ref().unwrap();
    assert_eq!(&text[place.start..place.end], "false");
    assert!(load(vec![file("a.toml", text), set("agent.1.attr.alone=true")], &kinds).is_ok());
}
