//! Hold by either side and by both (RFC 3264 §8.4, RFC 6337 §5.3).

use super::*;

/// The peer offers with this line while we hold or not: our answer's direction, and what we agree.
fn check_answer(held: bool, offer: &str, direction: Direction, remote_holds: bool) {
    let mut ours = OfferAnswer::new(1);
    ours.set_held(held);
    ours.receive_offer(remote(&format!("m=audio_4000_RTP/AVP_0 {offer}"))).unwrap();
    let (answer, agreed) = ours.answer(&local()).unwrap();
    let audio = agreed.audio.unwrap();
    assert_eq!(answer.media[0].direction, Some(direction), "{held} {offer}");
    assert_eq!((audio.direction, audio.remote_holds), (direction, remote_holds), "{held} {offer}");
}

/// We offer, the peer answers with this line.
fn check_offer(held: bool, answer: &str, direction: Direction, remote_holds: bool) {
    let mut ours = OfferAnswer::new(1);
    ours.set_held(held);
    let offer = ours.make_offer(&local()).unwrap();
    assert_eq!(
        offer.media[0].direction,
        held.then_some(Direction::SendOnly),
        "a first offer says no more than it must"
    );
    let audio =
        ours.receive_answer(&remote(&format!("m=audio_4000_RTP/AVP_0 {answer}"))).unwrap().audio.unwrap();
    assert_eq!((audio.direction, audio.remote_holds), (direction, remote_holds), "{held} {answer}");
}

#[test]
fn answers_give_what_is_left_of_both_wishes() {
    check_answer(false, "", Direction::SendRecv, false);
    check_answer(false, "a=sendonly", Direction::RecvOnly, true);
    check_answer(false, "a=recvonly", Direction::SendOnly, false);
    check_answer(false, "a=inactive", Direction::Inactive, true);
    check_answer(true, "a=sendrecv", Direction::SendOnly, false);
    check_answer(true, "a=sendonly", Direction::Inactive, true);
    check_answer(true, "a=recvonly", Direction::SendOnly, false);
    check_answer(true, "a=inactive", Direction::Inactive, true);
}

#[test]
fn an_unspecified_address_is_the_old_way_to_hold() {
    check_answer(false, "c=IN_IP4_0.0.0.0", Direction::RecvOnly, true);
    check_answer(false, "c=IN_IP6_::", Direction::RecvOnly, true);
    check_answer(false, "c=IN_IP4_0.0.0.0 a=inactive", Direction::Inactive, true);
    check_answer(true, "c=IN_IP4_0.0.0.0", Direction::Inactive, true);
}

#[test]
fn what_our_offer_gets_back_decides_the_direction() {
    check_offer(false, "", Direction::SendRecv, false);
    check_offer(false, "a=sendonly", Direction::RecvOnly, true);
    check_offer(true, "a=recvonly", Direction::SendOnly, false);
    check_offer(true, "a=inactive", Direction::Inactive, true);
    check_offer(true, "a=sendrecv", Direction::SendOnly, false);
}

#[test]
fn both_hold_and_both_come_back() {
    let mut ours = OfferAnswer::new(1);
    let mut theirs = OfferAnswer::new(2);
    let exchange = |from: &mut OfferAnswer, to: &mut OfferAnswer| {
        to.receive_offer(from.make_offer(&local()).unwrap()).unwrap();
        let (answer, far) = to.answer(&local()).unwrap();
        let near = from.receive_answer(&answer).unwrap();
        let of = |agreed: Agreed| agreed.audio.unwrap().direction.to_string();
        [of(near), of(far)]
    };
    assert_eq!(exchange(&mut ours, &mut theirs), ["sendrecv", "sendrecv"]);
    ours.set_held(true);
    assert_eq!(exchange(&mut ours, &mut theirs), ["sendonly", "recvonly"]);
    theirs.set_held(true);
    assert_eq!(exchange(&mut theirs, &mut ours), ["inactive", "inactive"]);
    ours.set_held(false);
    assert_eq!(exchange(&mut ours, &mut theirs), ["recvonly", "sendonly"]);
    theirs.set_held(false);
    assert_eq!(exchange(&mut theirs, &mut ours), ["sendrecv", "sendrecv"]);
}

#[test]
fn a_refresh_repeats_what_holds_under_the_same_version() {
    let mut ours = OfferAnswer::new(1);
    let first = ours.make_offer(&local()).unwrap();
    let agreed = ours.receive_answer(&remote("m=audio_4000_RTP/AVP_0")).unwrap();
    assert_eq!(ours.repeat_offer(&local()).unwrap(), first);
    assert!(ours.awaits_answer());
    assert_eq!(ours.receive_answer(&remote("m=audio_4000_RTP/AVP_0")).unwrap(), agreed);
    // A refused hold leaves the SDP that holds behind the one that was sent last.
    ours.set_held(true);
    ours.make_offer(&local()).unwrap();
    ours.drop_offer();
    ours.set_held(false);
    let again = ours.repeat_offer(&local()).unwrap();
    assert_eq!((again.origin.version, again.media[0].direction), (3, Some(Direction::SendRecv)));
}

#[test]
fn the_one_called_repeats_its_answer() {
    let mut ours = OfferAnswer::new(1);
    ours.receive_offer(remote("m=audio_4000_RTP/AVP_0_101 a=rtpmap:101_telephone-event/8000")).unwrap();
    let (answer, agreed) = ours.answer(&local()).unwrap();
    assert_eq!(ours.repeat_offer(&local()).unwrap(), answer);
    let back = remote("m=audio_4000_RTP/AVP_0_101 a=rtpmap:101_telephone-event/8000");
    assert_eq!(ours.receive_answer(&back).unwrap(), agreed);
}
