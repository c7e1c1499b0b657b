//! Those who wait get their seats, and whoever stops waiting takes none with him.

use futures_util::FutureExt as _;

use super::*;

fn is_free(desk: &Desk) -> bool {
    desk.seat(&Lane::Reading).now_or_never().is_some()
}

#[tokio::test]
async fn a_seat_is_passed_on() {
    let desk = Desk::new(1);
    let seat = desk.seat(&Lane::Marks).await;
    let mut waits = Box::pin(desk.seat(&Lane::Listing));
    assert!((&mut waits).now_or_never().is_none());
    seat.leave(Ending::Answered(None));
    let next = waits.await;
    assert!(!is_free(&desk));
    drop(next);
    assert!(is_free(&desk));
}

#[tokio::test]
async fn whoever_stops_waiting_takes_no_seat() {
    let desk = Desk::new(1);
    for granted in [false, true] {
        let seat = desk.seat(&Lane::Marks).await;
        let mut waits = Box::pin(desk.seat(&Lane::Listing));
        assert!((&mut waits).now_or_never().is_none());
        if granted {
            // The seat is there, but nobody comes for it.
            seat.leave(Ending::Unknown);
            drop(waits);
        } else {
            drop(waits);
            seat.leave(Ending::Unknown);
        }
        assert!(is_free(&desk), "{granted}");
        let state = desk.state();
        assert!(state.waiting.is_empty() && state.granted.is_empty());
    }
}

#[tokio::test]
async fn after_a_pause_it_goes_on_by_itself() {
    let desk = Desk::new(2);
    let lull = Duration::from_millis(50);
    let seat = desk.seat(&Lane::Marks).await;
    seat.leave(Ending::TurnedAway(lull));
    let begun = now();
    drop(desk.seat(&Lane::Listing).await);
    assert!(now() - begun > lull / 2);
    assert!(is_free(&desk));
}
