//! How many programs that do nothing a shim starts in a second, beside the same number started by
//! `posix_spawn` alone, in turns: `cargo run --release --example spawn_rate -- [TASKS] [AT A TIME]`.
//! The shim's program, `dx-shim`, is to be built before, with the same profile. Two run at a time, and
//! `AT A TIME` have been given, 40 where nothing is said. On a machine that is busy with other work
//! only the processor time of a task, with all that it takes of either, says something.
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use dx_scheduler::id::{JobId, Term};
use dx_scheduler::processor::{Call, Follow, Run, Told};
use dx_scheduler::shim::SOCKET;
use dx_scheduler::shim::wire::{self, Inbound};

/// Tasks that run at a time, of everyone.
const SLOTS: u32 = 2;

const ROUNDS: u64 = 3;

/// Microseconds of a tick, in which the kernel tells programs processor time on every machine.
const TICK: f64 = 10_000.0;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let tasks: u32 = arguments.next().map_or(Ok(20_000), |it| it.parse())?;
    let at_a_time: u32 = arguments.next().map_or(Ok(40), |it| it.parse())?;
    let program = arguments.next().unwrap_or_else(|| "/bin/true".to_owned());
    let out = &mut std::io::stdout();
    for options in [&[][..], &["--without-cgroups"]] {
        let folder = tempfile::tempdir()?;
        let mut shim = Command::new(std::env::current_exe()?.with_file_name("../dx-shim"))
            .arg(folder.path())
            .arg("1")
            .args(options)
            .stdout(Stdio::piped())
            .spawn()?;
        let ready = shim.stdout.take().ok_or("there is no output")?;
        BufReader::new(ready).read_line(&mut String::new())?;
        for round in 1..=ROUNDS {
            let before = processor_time("self")?;
            let bare = bare(tasks, &program);
            let bare_takes = (processor_time("self")? - before) / f64::from(tasks);
            let pid = shim.id().to_string();
            let before = processor_time(&pid)?;
            let ours = through(folder.path(), round, tasks, at_a_time, &program)?;
            let ours_takes = (processor_time(&pid)? - before) / f64::from(tasks);
            writeln!(
                out,
                "{options:?} bare {bare:.0}/s, shim {ours:.0}/s, ratio {:.2}; \
                 processor time bare {bare_takes:.0} us, shim {ours_takes:.0} us, ratio {:.2}",
                ours / bare,
                bare_takes / ours_takes
            )?;
        }
        shim.kill()?;
        shim.wait()?;
    }
    Ok(())
}

/// What a process and those of its children that are gone have had of the processors, in
/// microseconds.
fn processor_time(pid: &str) -> Result<f64, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // Behind the name, which may have spaces: user and system time, its own and its children's.
    let fields = stat.rsplit(") ").next().ok_or("it has a name")?.split(' ');
    let ticks = fields.skip(11).take(4).map(str::parse::<f64>).sum::<Result<f64, _>>()?;
    Ok(ticks * TICK)
}

/// Two threads, each with one process at a time, and pipes for what it prints.
fn bare(tasks: u32, program: &str) -> f64 {
    let left = AtomicU32::new(tasks);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..SLOTS {
            scope.spawn(|| {
                let take = |it: u32| it.checked_sub(1);
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                    let mut command = Command::new(program);
                    command.env_clear().process_group(0).stdin(Stdio::null());
                    let output = command.output().expect("the program can be started");
                    assert!(output.status.success());
                }
            });
        }
    });
    f64::from(tasks) / start.elapsed().as_secs_f64()
}

/// As a runner would have them: so many have been given and have not ended.
fn through(
    folder: &Path,
    job: u64,
    tasks: u32,
    at_a_time: u32,
    program: &str,
) -> Result<f64, Box<dyn std::error::Error>> {
    let mut stream = UnixStream::connect(folder.join(SOCKET))?;
    stream.write_all(&wire::greeting())?;
    let mut inbound = Inbound::default();
    let spec: Arc<str> = format!(r#"{{"commands": [{{"exec": ["{program}"]}}]}}"#).into();
    let (mut given, mut ended, mut life) = (0, 0, None);
    let id = |index| JobId(job).task(index).attempt(1);
    let mut start = Instant::now();
    let mut bytes = vec![0; 64 << 10];
    while ended < tasks {
        let mut calls = Vec::new();
        let mut over = Vec::new();
        while let Some(told) = inbound.take_frame::<Told>()? {
            match told {
                Told::Hello(hello) => life = Some((hello.shim.incarnation, hello.number)),
                Told::Beat { clock } => {
                    let lease = 60_000_000_000;
                    wire::put_call(Call::Renew { clock, lease, term: Term(1) }, &mut calls);
                    if given == 0 {
                        start = Instant::now();
                    }
                }
                Told::Ended { attempt, .. } if attempt.task.job == JobId(job) => over.push(attempt),
                _ => {}
            }
        }
        ended += over.len() as u32;
        if !over.is_empty() {
            wire::put_call(Call::Forget(over), &mut calls);
        }
        if let Some((shim, since)) = life {
            let until = tasks.min(ended + at_a_time);
            let run = |index| {
                let (spec, gpus) = (Arc::clone(&spec), Vec::new());
                Run { attempt: id(index), shim, spec, gpus }
            };
            if given == 0 {
                given = until.min(SLOTS);
                wire::put_call(Call::Run((0..given).map(run).collect()), &mut calls);
            }
            // The others as a runner gives them: ahead, many at a time.
            if given < until && (given - ended) * 2 <= at_a_time + SLOTS {
                let (job, wide, spec) = (JobId(job), SLOTS, Arc::clone(&spec));
                let attempts = (given..until).map(id).collect();
                given = until;
                let follow = Follow { job, wide, shim, since, spec, attempts };
                wire::put_call(Call::Follow(follow), &mut calls);
            }
        }
        stream.write_all(&calls)?;
        let len = stream.read(&mut bytes)?;
        inbound.push(&bytes[..len]);
    }
    Ok(f64::from(tasks) / start.elapsed().as_secs_f64())
}
