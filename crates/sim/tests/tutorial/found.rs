/// `at most one holds the lock` did not hold: a2 and a3 do
#[test]
fn at_most_one_holds_the_lock() {
    let tape: dx_sim::tape::Tape = r"
choice boot 2 410/1024
choice delay 7 1/16777216
choice delay 10 15621297/16777216
end
"
    .parse()
    .expect("the simulator wrote it");
    let choices = dx_sim::Choices::replayed(&tape);
    let (_, failure) = lock().run(3, choices);
    assert_eq!(failure.map(|failure| failure.to_string()), None);
}
