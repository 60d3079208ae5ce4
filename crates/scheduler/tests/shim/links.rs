//! A runner and its shim, with the link between them.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dx_agents::NodeId;
use dx_agents::runtime::{Heard, Port, Runtime, RuntimeConfig};
use dx_agents::{AgentId, RefusedBecause};
use dx_scheduler::end::End;
use dx_scheduler::id::{AttemptId, Term};
use dx_scheduler::link::{LinkConfig, run};
use dx_scheduler::message::RunnerMessage;
use dx_scheduler::processor::{Call, Hello, Run, Told};
use dx_scheduler::{processor_of, runner_of};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::rig::{LONG, attempt, exec, processes_with, sh, unique};

const NODE: NodeId = NodeId(7);
const PATIENCE: Duration = Duration::from_mins(1);

/// A port in the runner's place.
struct Runner {
    port: Port,
    link: AgentId,
    /// Ends the link, when it is true.
    ending: watch::Sender<bool>,
    linked: JoinHandle<()>,
    hello: Hello,
    /// What was told and not looked at.
    rest: VecDeque<Told>,
}

impl Runner {
    async fn new(runtime: &Runtime, folder: &Path) -> Self {
        let port = runtime.port_as(runner_of(NODE)).unwrap();
        let processor = runtime.port_as(processor_of(NODE)).unwrap();
        let config = LinkConfig {
            environment: Vec::new(),
            folder: folder.to_owned(),
            program: env!("CARGO_BIN_EXE_dx-shim").into(),
            arguments: vec![folder.into(), "7".into()],
            runner: port.id(),
        };
        let (ending, is_ending) = watch::channel(false);
        let linked = tokio::spawn(run(processor, config, is_ending));
        let link = processor_of(NODE);
        let mut rest = VecDeque::new();
        let hello = loop {
            if let Told::Hello(hello) = told(&port, &mut rest).await {
                break hello;
            }
        };
        Self { port, link, ending, linked, hello, rest }
    }

    fn call(&self, call: Call) {
        assert_eq!(self.port.send(self.link, call), Ok::<(), RefusedBecause>(()));
    }

    fn run(&self, id: AttemptId, job: &serde_json::Value) {
        let (spec, shim) = (job.to_string().into(), self.hello.shim.incarnation);
        self.call(Call::Run(vec![Run { attempt: id, shim, spec, gpus: vec![] }]));
    }

    /// The next that `is_it`; beats are answered meanwhile.
    async fn wait<T>(&mut self, is_it: impl Fn(&Told) -> Option<T>) -> T {
        loop {
            let told = told(&self.port, &mut self.rest).await;
            if let Told::Beat { clock } = told {
                self.call(Call::Renew { clock, lease: LONG, term: Term(1) });
            }
            if let Told::Hello(hello) = &told {
                self.hello = hello.clone();
            }
            if let Some(it) = is_it(&told) {
                return it;
            }
        }
    }

    async fn ended(&mut self, id: AttemptId) -> End {
        self.wait(|told| match told {
            Told::Ended { attempt, finish } if *attempt == id => Some(finish.end),
            _ => None,
        })
        .await
    }
}

/// The process that holds the folder of a shim.
fn shim_in(folder: &Path) -> Pid {
    let lock = std::fs::read_to_string(folder.join("lock")).unwrap();
    Pid::from_raw(lock.split_whitespace().nth(1).unwrap().parse().unwrap()).unwrap()
}

/// What is told next, as one who is told one thing at a time: `rest` is what follows.
async fn told(port: &Port, rest: &mut VecDeque<Told>) -> Told {
    if let Some(told) = rest.pop_front() {
        return told;
    }
    loop {
        let heard = timeout(PATIENCE, port.recv()).await.expect("the link is silent");
        if let Heard::Message(message) = heard {
            match message.open::<RunnerMessage>().unwrap() {
                RunnerMessage::Processor(told) => {
                    rest.extend(told);
                    return rest.pop_front().expect("nobody tells nothing");
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_link_starts_the_shim_and_another_when_it_dies() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shim");
    let runtime = Runtime::start(RuntimeConfig::default()).unwrap();
    let mut runner = Runner::new(&runtime, &path).await;
    runner.run(attempt(1, 0), &exec(&["true"]));
    assert_eq!(runner.ended(attempt(1, 0)).await, End::Succeeded);
    let mark = unique();
    runner.run(attempt(1, 1), &sh(&format!("setsid sleep {mark} & sleep {mark}")));
    while processes_with(&mark).len() < 3 {
        tokio::task::yield_now().await;
    }
    let before = runner.hello.shim.incarnation;
    kill_process(shim_in(&path), Signal::KILL).unwrap();
    assert_eq!(runner.ended(attempt(1, 1)).await, End::Lost);
    assert!(runner.hello.shim.incarnation > before);
    assert_eq!(processes_with(&mark), [] as [i32; 0]);
    runner.run(attempt(1, 2), &exec(&["true"]));
    assert_eq!(runner.ended(attempt(1, 2)).await, End::Succeeded);
    runner.call(Call::Stop);
    // Its end has another begin, which knows the same.
    let life = runner.hello.shim.incarnation;
    let again = |told: &Told| match told {
        Told::Hello(hello) if hello.shim.incarnation > life => Some(hello.ended.len()),
        _ => None,
    };
    assert_eq!(runner.wait(again).await, 3);
    runner.call(Call::Stop);
}

#[tokio::test]
async fn a_link_that_has_ended_leaves_no_shim() {
    let folder = tempfile::tempdir().unwrap();
    // How long a shim needs from hanging up to its end is the system's business.
    for _ in 0..10 {
        let runtime = Runtime::start(RuntimeConfig::default()).unwrap();
        let runner = Runner::new(&runtime, folder.path()).await;
        let shim = pidfd_open(shim_in(folder.path()), PidfdFlags::empty()).unwrap();
        runner.ending.send_replace(true);
        timeout(PATIENCE, runner.linked).await.expect("the link goes on").unwrap();
        let has_ended = poll(&mut [PollFd::new(&shim, PollFlags::IN)], Some(&Timespec::default()));
        assert_eq!(has_ended, Ok(1), "the shim goes on");
    }
}

#[tokio::test]
async fn a_runner_with_no_room_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = Runtime::start(RuntimeConfig::default()).unwrap();
    let mut runner = Runner::new(&runtime, &folder.path().join("shim")).await;
    let ids: Vec<AttemptId> = (0..200).map(|index| attempt(1, index)).collect();
    let spec: Arc<str> = exec(&["true"]).to_string().into();
    let shim = runner.hello.shim.incarnation;
    let run = |id: &AttemptId| Run { attempt: *id, shim, spec: Arc::clone(&spec), gpus: vec![] };
    runner.call(Call::Run(ids.iter().map(run).collect()));
    let mut ended = 0;
    while ended < ids.len() {
        runner.wait(|told| matches!(told, Told::Ended { .. }).then_some(())).await;
        ended += 1;
    }
    // More answers than any mailbox holds are on their way, and nobody takes them.
    for _ in 0..100 {
        runner.call(Call::Status(ids.clone()));
    }
    tokio::task::yield_now().await;
    for _ in 0..100 * ids.len() {
        runner.wait(|told| matches!(told, Told::Ended { .. }).then_some(())).await;
    }
    runner.call(Call::Stop);
}
