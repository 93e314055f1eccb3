use std::io::Cursor;

use super::*;

const UUID: [u8; 16] = [0x11; 16];

fn event(kind: u8, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(HEADER + body.len() + CHECKSUM).unwrap();
    let mut bytes = vec![0; 4];
    bytes.push(kind);
    bytes.extend_from_slice(&7_u32.to_le_bytes());
    bytes.extend_from_slice(&size.to_le_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 0, 1, 0]);
    bytes.extend_from_slice(body);
    bytes.extend_from_slice(&[0; CHECKSUM]);
    bytes
}

fn transaction(number: u64, committed: u64) -> Vec<u8> {
    let mut body = vec![0];
    body.extend_from_slice(&UUID);
    body.extend_from_slice(&number.to_le_bytes());
    body.extend_from_slice(&[2; 17]);
    // As a replica writes it: its own moment, then that of the origin.
    body.extend_from_slice(&(99_u64 | 1 << 55).to_le_bytes()[..7]);
    body.extend_from_slice(&committed.to_le_bytes()[..7]);
    [event(GTID, &body), event(2, b"BEGIN"), event(16, b"commit")].concat()
}

fn beginning() -> Vec<u8> {
    let mut sets = 1_u64.to_le_bytes().to_vec();
    sets.extend_from_slice(&UUID);
    for number in [1, 1, 4_u64] {
        sets.extend_from_slice(&number.to_le_bytes());
    }
    [
        MAGIC.to_vec(),
        event(DESCRIPTION, b"9.7"),
        event(PREVIOUS, &sets),
    ]
    .concat()
}

fn set(text: &str) -> GtidSet {
    let source = Source::from_bytes(&UUID);
    format!("{source}:{text}").parse().unwrap()
}

#[test]
fn transactions_come_one_by_one_when_they_are_acknowledged() {
    let one = transaction(4, 1000);
    let bytes = [
        beginning(),
        one.clone(),
        transaction(5, 2000),
        event(ROTATE, b"next"),
    ]
    .concat();
    let mut scanner = Scanner::open(Cursor::new(bytes)).unwrap().unwrap();
    assert_eq!(scanner.next(&set("1-3")).unwrap(), Next::Wait);
    assert_eq!(scanner.before(), &set("1-3"));
    let Next::Transaction(first) = scanner.next(&set("1-4")).unwrap() else {
        panic!("the first transaction is acknowledged");
    };
    assert_eq!((first.gtid.number, first.committed), (4, 1000));
    assert_eq!(scanner.bytes(&first).unwrap(), one);
    assert_eq!(scanner.before(), &set("1-4"));
    assert_eq!(scanner.next(&set("1-4")).unwrap(), Next::Wait);
    assert!(matches!(
        scanner.next(&set("1-5")).unwrap(),
        Next::Transaction(_)
    ));
    assert_eq!(scanner.next(&set("1-5")).unwrap(), Next::End);
}

#[test]
fn a_file_that_grows_is_followed_at_each_length() {
    let whole = [beginning(), transaction(4, 1000), transaction(5, 2000)].concat();
    let first = beginning().len() + transaction(4, 1000).len();
    for length in 0..=whole.len() {
        let Some(mut scanner) = Scanner::open(Cursor::new(whole[..length].to_vec())).unwrap()
        else {
            assert!(length < beginning().len());
            continue;
        };
        // The server says that 4 is acknowledged only when all of it is in the file.
        let executed = if length < first {
            set("1-3")
        } else {
            set("1-4")
        };
        let next = scanner.next(&executed).unwrap();
        assert_eq!(
            matches!(next, Next::Transaction(_)),
            length >= first,
            "{length}"
        );
        assert_eq!(scanner.next(&executed).unwrap(), Next::Wait);
    }
}

#[test]
fn the_copied_description_is_not_in_use() {
    let scanner = Scanner::open(Cursor::new(beginning())).unwrap().unwrap();
    assert_eq!(scanner.description()[17], 0);
}

#[test]
fn a_new_file_begins_with_nothing_before_it() {
    assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    for (last, length) in [(1, HEADER + 12), (0, HEADER + 8)] {
        let mut description = event(DESCRIPTION, b"9.7");
        let at = description.len() - 5;
        description[at] = last;
        let file = opening(&description);
        assert_eq!(file.len(), 4 + description.len() + length);
        let scanner = Scanner::open(Cursor::new(file)).unwrap().unwrap();
        assert!(scanner.before().is_empty());
    }
}

#[test]
fn what_cannot_be_archived_is_said() {
    let read = |bytes: Vec<u8>| {
        let bytes = [bytes, vec![0; 8]].concat();
        let mut scanner = Scanner::open(Cursor::new(bytes))?.expect("the beginning is there");
        scanner.next(&set("1-9"))
    };
    for (bytes, words) in [
        (ENCRYPTED.to_vec(), "encrypted"),
        (b"GIF8".to_vec(), "damaged"),
        (
            [beginning(), event(ANONYMOUS, &[0; 50])].concat(),
            "no GTID",
        ),
        ([beginning(), event(TAGGED, &[0; 50])].concat(), "tagged"),
        ([beginning(), event(GTID, &[0; 50])].concat(), "damaged"),
        ([beginning(), vec![0; 40]].concat(), "length"),
    ] {
        let error = read(bytes).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
