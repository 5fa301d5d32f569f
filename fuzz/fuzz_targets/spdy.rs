//! SPDY frames: however the bytes come, the frames are the same; and what is written is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use podo_client::websocket::spdy::{Codec, Frame, SpdyError};

fuzz_target!(|input: &[u8]| {
    let (size, input) = podo_fuzz::choice(input);
    let whole = read(input, input.len().max(1));
    assert_eq!(read(input, usize::from(size).max(1)), whole);
    let (mut here, mut there) = (Codec::new(), Codec::new());
    for frame in whole.0 {
        there.feed(&here.encode(&frame));
        assert_eq!(there.next_frame().expect("written by us"), Some(lower(frame)));
    }
});

/// Names of headers are written in lower case.
fn lower(mut frame: Frame) -> Frame {
    if let Frame::SynStream { headers, .. } | Frame::SynReply { headers, .. } = &mut frame {
        headers.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
    }
    frame
}

fn read(input: &[u8], size: usize) -> (Vec<Frame>, Option<SpdyError>) {
    let (mut codec, mut frames) = (Codec::new(), Vec::new());
    for chunk in input.chunks(size) {
        codec.feed(chunk);
        loop {
            match codec.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}
