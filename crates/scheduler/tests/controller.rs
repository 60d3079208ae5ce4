//! The controller as an agent, in a simulated world with runners that obey.

#[path = "controller/obedient.rs"]
mod obedient;
#[path = "controller/served.rs"]
mod served;
