use super::*;

fn headers() -> Headers {
    [("streamtype", "error"), ("port", "8080"), ("requestid", "0")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}

#[test]
fn the_dictionary_is_the_one_whose_adler_32_every_zlib_of_spdy_3_names() {
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in dictionary() {
        a = (a + u32::from(byte)) % 65521;
        b = (b + a) % 65521;
    }
    assert_eq!((dictionary().len(), b << 16 | a), (1423, 0xe3c6_a7c2));
}

#[test]
fn every_frame_comes_back_as_it_was_sent_also_byte_by_byte() {
    let frames = [
        Frame::SynStream { id: 1, fin: false, headers: headers() },
        Frame::SynStream { id: 3, fin: true, headers: headers() },
        Frame::SynReply { id: 1, fin: false, headers: Vec::new() },
        Frame::Data { id: 3, fin: false, bytes: Bytes::from_static(b"hello") },
        Frame::Data { id: 3, fin: true, bytes: Bytes::new() },
        Frame::Ping { id: 7 },
        Frame::Reset { id: 3, status: 5 },
        Frame::GoAway { last: 3 },
        Frame::Ignored,
    ];
    let (mut sender, mut receiver) = (Codec::new(), Codec::new());
    let mut seen = Vec::new();
    for frame in &frames {
        for byte in sender.encode(frame) {
            receiver.feed(&[byte]);
            seen.extend(receiver.next_frame().unwrap());
        }
    }
    assert_eq!(seen, frames);
}

#[test]
fn what_is_no_spdy_is_refused() {
    for (bytes, expected) in [
        (&b"\x80\x02\x00\x01\x00\x00\x00\x00"[..], SpdyError::Version(2)),
        (b"\x00\x00\x00\x01\x00\xff\xff\xff", SpdyError::TooLarge(0x00ff_ffff)),
        (b"\x80\x03\x00\x06\x00\x00\x00\x00", SpdyError::Short),
        (b"\x80\x03\x00\x02\x00\x00\x00\x06\0\0\0\x01zz", SpdyError::Headers),
    ] {
        let mut codec = Codec::new();
        codec.feed(bytes);
        assert_eq!(codec.next_frame(), Err(expected));
    }
}
