//! The header by which a load balancer introduces a connection: PROXY protocol, versions 1 and 2.
//!
//! It is read to its last byte and no further. A balancer may also speak for itself, to see whether we are
//! there (`LOCAL`, `UNKNOWN`); the connection is then its own.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What version 2 begins with, and as much of version 1.
const START: usize = 12;
const SIGNATURE: [u8; START] = *b"\r\n\r\n\0\r\nQUIT\n";
/// A line of version 1, with its end.
const LINE: usize = 107;
/// The addresses of version 2 and what balancers like to say beside them.
const MOST: usize = 2_048;

/// Whom a connection is from; `None`: the balancer itself.
pub(super) type Introduced = Option<SocketAddr>;

/// Reads the header.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`]: it is none. Else what the connection says.
pub(super) async fn introduced<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Introduced> {
    let mut start = [0; START];
    stream.read_exact(&mut start).await?;
    let found = if start == SIGNATURE { version2(stream).await? } else { version1(stream, &start).await? };
    found.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

async fn version1<S: AsyncRead + Unpin>(stream: &mut S, start: &[u8]) -> io::Result<Option<Introduced>> {
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() >= LINE || !line.starts_with(b"PROXY ") {
            return Ok(None);
        }
        line.push(stream.read_u8().await?);
    }
    Ok(std::str::from_utf8(&line).ok().and_then(parse_line))
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443` and the line's end.
fn parse_line(line: &str) -> Option<Introduced> {
    let mut words = line.strip_suffix("\r\n")?.strip_prefix("PROXY ")?.split(' ');
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(None);
    }
    let [from, to, port, _] = [words.next()?, words.next()?, words.next()?, words.next().filter(is_port)?];
    let (from, to): (IpAddr, IpAddr) = (from.parse().ok()?, to.parse().ok()?);
    let fits = match family {
        "TCP4" => from.is_ipv4() && to.is_ipv4(),
        "TCP6" => from.is_ipv6() && to.is_ipv6(),
        _ => false,
    };
    let port = Some(port).filter(is_port)?.parse().ok()?;
    (fits && words.next().is_none()).then_some(Some(SocketAddr::new(from, port)))
}

fn is_port(text: &&str) -> bool {
    (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

async fn version2<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<Introduced>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [command, family, high, low] = head;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > MOST {
        return Ok(None);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(parse_addresses(command, family, &body))
}

/// Version and command, family and transport, and what follows.
fn parse_addresses(command: u8, family: u8, body: &[u8]) -> Option<Introduced> {
    match (command, family) {
        (0x20, _) => Some(None),
        (0x21, 0x11) => {
            let (from, rest) = body.split_first_chunk::<4>()?;
            let (_, rest) = rest.split_first_chunk::<4>()?;
            Some(Some(SocketAddr::new(Ipv4Addr::from(*from).into(), port(rest)?)))
        }
        (0x21, 0x21) => {
            let (from, rest) = body.split_first_chunk::<16>()?;
            let (_, rest) = rest.split_first_chunk::<16>()?;
            Some(Some(SocketAddr::new(Ipv6Addr::from(*from).into(), port(rest)?)))
        }
        _ => None,
    }
}

/// The client's port, if ours is there too.
fn port(rest: &[u8]) -> Option<u16> {
    let (ports, _) = rest.split_first_chunk::<4>()?;
    let [high, low, ..] = *ports;
    Some(u16::from_be_bytes([high, low]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    async fn read(bytes: &[u8]) -> (io::Result<Introduced>, usize) {
        let mut rest = bytes;
        let found = introduced(&mut rest).await;
        (found, rest.len())
    }

    fn second(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend(body);
        bytes
    }

    #[tokio::test]
    async fn a_header_is_read_to_its_end_and_not_a_byte_further() {
        let v4 = [192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 1, 0xbb];
        let mut v6 = Ipv6Addr::LOCALHOST.octets().to_vec();
        v6.extend(Ipv6Addr::UNSPECIFIED.octets());
        v6.extend([0, 80, 1, 187, 4, 0, 1, 9]);
        for (header, from) in [
            (b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n".to_vec(), Some("192.0.2.1:56324")),
            (b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n".to_vec(), Some("[2001:db8::1]:1")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ::1 1 2\r\n".to_vec(), None),
            (second(0x21, 0x11, &v4), Some("192.0.2.1:56324")),
            (second(0x21, 0x21, &v6), Some("[::1]:80")),
            (second(0x20, 0x00, b""), None),
            (second(0x20, 0x11, &v4), None),
        ] {
            let (found, left) = read(&[&header[..], b"\x16\x03\x01"].concat()).await;
            assert_eq!(found.unwrap(), from.map(|from| from.parse().unwrap()), "{header:?}");
            assert_eq!(left, 3);
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_nobodys_word() {
        let long = format!("PROXY TCP4 1.2.3.4 1.2.3.4 1 {}\r\n", "1".repeat(100));
        for wrong in [
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00"[..],
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 1\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 +1 443\r\n",
            b"PROXY TCP4 192.0.2.1  198.51.100.1 1 443\r\n",
            b"PROXY TCP4 ::1 ::1 1 443\r\n",
            b"PROXY TCP6 192.0.2.1 198.51.100.1 1 443\r\n",
            b"PROXY TCP4 192.0.2.01 198.51.100.1 1 443\r\n",
            b"PROXY UDP4 192.0.2.1 198.51.100.1 1 443\r\n",
            b"proxy tcp4 192.0.2.1 198.51.100.1 1 443\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 1 443\n   \r\n",
            long.as_bytes(),
            &second(0x21, 0x11, &[0; 11]),
            &second(0x21, 0x12, &[0; 12]),
            &second(0x21, 0x31, &[0; 216]),
            &second(0x21, 0x00, &[]),
            &second(0x11, 0x11, &[0; 12]),
            &second(0x22, 0x11, &[0; 12]),
            &second(0x21, 0x11, &[0; MOST + 1]),
        ] {
            assert_eq!(read(wrong).await.0.unwrap_err().kind(), io::ErrorKind::InvalidData, "{wrong:?}");
        }
        assert_eq!(read(b"PROXY TCP4 1").await.0.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_read_on(bytes in prop::collection::vec(0_u8..=255, 0..300), kind in 0_u8..3) {
            let start: &[u8] = match kind { 0 => b"", 1 => b"PROXY TCP4 ", _ => &SIGNATURE };
            let whole = [start, &bytes[..]].concat();
            let mut rest = &whole[..];
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(introduced(&mut rest));
        }
    }
}
