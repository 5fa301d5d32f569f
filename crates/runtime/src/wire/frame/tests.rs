use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::*;

fn pair() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap()
}

#[test]
fn frames_and_their_descriptors_arrive_together_and_in_order() {
    let (here, there) = pair();
    let mut writer = FrameWriter::default();
    let (read_end, write_end) = rustix::pipe::pipe().unwrap();
    writer.push(b"plain", Vec::new()).unwrap();
    writer.push(b"with", vec![write_end]).unwrap();
    writer.push(&vec![b'x'; 40_000], Vec::new()).unwrap();
    assert!(writer.flush(here.as_fd()).unwrap());
    let mut reader = FrameReader::default();
    let mut got = Vec::new();
    while got.len() < 3 {
        assert!(reader.fill(there.as_fd()).unwrap());
        while let Some(frame) = reader.next().unwrap() {
            got.push(frame);
        }
    }
    assert_eq!((got[0].0.as_slice(), got[0].1.len()), (b"plain".as_slice(), 0));
    assert_eq!((got[1].0.as_slice(), got[1].1.len()), (b"with".as_slice(), 1));
    assert_eq!(got[2].0.len(), 40_000);
    rustix::io::write(&got[1].1[0], b"!").unwrap();
    let mut byte = [0];
    assert_eq!(rustix::io::read(&read_end, &mut byte).unwrap(), 1);
}

#[test]
fn a_peer_that_does_not_read_fills_a_bounded_queue() {
    let (here, _there) = pair();
    let mut writer = FrameWriter::default();
    let body = vec![0; 1 << 20];
    let refused = (0..20).find_map(|_| {
        let pushed = writer.push(&body, Vec::new());
        writer.flush(here.as_fd()).unwrap();
        pushed.err()
    });
    assert_eq!(refused.unwrap().kind(), io::ErrorKind::OutOfMemory);
}

#[test]
fn nonsense_is_refused_before_it_is_stored() {
    for head in [
        *b"GET / HTTP/1",
        [b'P', b'D', 2, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [b'P', b'D', 1, 0, 0, 0, 0, 0, 255, 255, 255, 255],
        [b'P', b'D', 1, 0, 9, 0, 0, 0, 0, 0, 0, 0],
        [b'P', b'D', 1, 0, 1, 0, 0, 0, 0, 0, 0, 0],
    ] {
        let mut reader = FrameReader { bytes: head.to_vec(), ..FrameReader::default() };
        assert!(reader.next().is_err(), "{head:?}");
    }
}

#[test]
fn a_closed_peer_is_seen() {
    let (here, there) = pair();
    drop(there);
    assert!(!FrameReader::default().fill(here.as_fd()).unwrap());
}
