//! What a mesh promises, whatever transport carries it.
//!
//! `conformance!(name, subject)` makes a module of tests, one per rule, for one transport. To run
//! it over a transport of your own, include this file and give it a [`subject::Subject`].
#![allow(clippy::unwrap_used, reason = "a test panics where it fails")]
#![allow(dead_code, reason = "each includer uses a part")]

pub mod delivery;
#[path = "../mesh/fragile.rs"]
pub mod fragile;
pub mod leaving;
pub mod meeting;
pub mod pressure;
pub mod strangers;
pub mod subject;

/// Makes the tests of one transport.
macro_rules! conformance {
    ($name:ident, $subject:expr) => {
        $crate::suite::conformance!(@rules $name, $subject,
            delivery: [
                messages_arrive_whole_and_in_order_on_every_lane,
                a_thousand_broken_links_under_load_lose_and_repeat_nothing,
                a_message_of_64_mib_lets_pings_pass,
            ],
            pressure: [
                a_stalled_reader_bounds_its_sender_and_hurts_nobody_else,
                a_full_lane_says_so_and_goes_on_when_there_is_room,
            ],
            meeting: [
                two_that_dial_each_other_end_with_one_session,
                a_restarted_peer_begins_a_new_session,
                a_stale_incarnation_is_turned_away,
                a_peer_that_comes_late_is_found,
            ],
            leaving: [
                a_drain_delivers_what_was_accepted,
                a_drained_peer_is_down_at_once,
            ],
            strangers: [
                another_clusters_node_is_refused_and_both_know_why,
                a_wrong_certificate_or_secret_is_refused,
                an_unknown_version_is_answered_with_ours,
                garbage_and_oversized_packets_cost_only_their_link,
                an_oversized_frame_costs_only_its_link,
                a_caller_that_says_nothing_loses_its_place,
            ]
        );
    };
    (@rules $name:ident, $subject:expr, $($file:ident: [$($rule:ident),* $(,)?]),*) => {
        mod $name {
            use super::*;
            $($(
                #[tokio::test]
                async fn $rule() {
                    $crate::suite::$file::$rule(&$subject).await;
                }
            )*)*
        }
    };
}
pub(crate) use conformance;
