//! Extended headers of tar: PAX records and GNU long names, and how they override the fixed header.

use super::archive::ArchiveError;

/// One `key=value` record.
pub(super) type Record = (Vec<u8>, Vec<u8>);

/// Sparse file facts that PAX records carry (GNU formats 0.0, 0.1 and 1.0).
#[derive(Default)]
pub(super) struct SparseRecords {
    pub(super) major_minor: (Option<u64>, Option<u64>),
    pub(super) real_size: Option<u64>,
    pub(super) name: Option<Vec<u8>>,
    /// Alternating offsets and lengths of formats 0.0 and 0.1.
    pub(super) map: Vec<u64>,
    pub(super) is_present: bool,
}

/// All that precedes an entry's own header.
#[derive(Default)]
pub(super) struct Extensions {
    pub(super) long_path: Option<Vec<u8>>,
    pub(super) long_link: Option<Vec<u8>>,
    pax_path: Option<Vec<u8>>,
    pax_link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) modified: Option<(i64, u32)>,
    pub(super) xattrs: Vec<Record>,
    pub(super) sparse: SparseRecords,
}

impl Extensions {
    pub(super) fn path(&mut self, fixed: Vec<u8>) -> Vec<u8> {
        self.long_path.take().or(self.pax_path.take()).unwrap_or(fixed)
    }

    pub(super) fn link(&mut self, fixed: Vec<u8>) -> Vec<u8> {
        self.long_link.take().or(self.pax_link.take()).unwrap_or(fixed)
    }

    /// Takes over the records of one PAX header; a later header replaces an earlier one.
    pub(super) fn set_pax(&mut self, records: Vec<Record>) -> Result<(), ArchiveError> {
        let (long_path, long_link) = (self.long_path.take(), self.long_link.take());
        *self = Self { long_path, long_link, ..Self::default() };
        records.into_iter().try_for_each(|(key, value)| self.set(&key, value))
    }

    fn set(&mut self, key: &[u8], value: Vec<u8>) -> Result<(), ArchiveError> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            self.xattrs.push((name.to_vec(), value));
            return Ok(());
        }
        if let Some(name) = key.strip_prefix(b"GNU.sparse.") {
            return self.set_sparse(name, value);
        }
        let is_unset = value.is_empty(); // An empty value restores the fixed header's.
        match key {
            b"path" => self.pax_path = text(value)?,
            b"linkpath" => self.pax_link = text(value)?,
            b"size" => self.size = if is_unset { None } else { Some(decimal(&value)?) },
            b"uid" => self.uid = if is_unset { None } else { Some(decimal(&value)?) },
            b"gid" => self.gid = if is_unset { None } else { Some(decimal(&value)?) },
            b"mtime" => self.modified = if is_unset { None } else { Some(time(&value)?) },
            _ => {}
        }
        Ok(())
    }

    fn set_sparse(&mut self, name: &[u8], value: Vec<u8>) -> Result<(), ArchiveError> {
        let sparse = &mut self.sparse;
        sparse.is_present = true;
        match name {
            b"major" => sparse.major_minor.0 = Some(decimal(&value)?),
            b"minor" => sparse.major_minor.1 = Some(decimal(&value)?),
            b"realsize" | b"size" => sparse.real_size = Some(decimal(&value)?),
            b"name" => sparse.name = text(value)?,
            b"offset" | b"numbytes" => sparse.map.push(decimal(&value)?),
            b"map" if !value.is_empty() => {
                sparse.map =
                    value.split(|byte| *byte == b',').map(decimal).collect::<Result<_, _>>()?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Splits `length key=value\n` records.
pub(super) fn parse(mut text: &[u8]) -> Result<Vec<Record>, ArchiveError> {
    let mut records = Vec::new();
    while !text.is_empty() {
        let space = text.iter().position(|byte| *byte == b' ').ok_or(ArchiveError::Pax)?;
        let (digits, _) = text.split_at(space);
        let length = usize::try_from(decimal(digits)?).map_err(|_| ArchiveError::Pax)?;
        let record = text.get(space + 1..length).ok_or(ArchiveError::Pax)?;
        let record = record.strip_suffix(b"\n").ok_or(ArchiveError::Pax)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or(ArchiveError::Pax)?;
        let (key, value) = record.split_at(equals);
        if key.is_empty() || key.contains(&0) {
            return Err(ArchiveError::Pax);
        }
        records.push((key.to_vec(), value.get(1..).unwrap_or_default().to_vec()));
        text = text.get(length..).unwrap_or_default();
    }
    Ok(records)
}

fn text(value: Vec<u8>) -> Result<Option<Vec<u8>>, ArchiveError> {
    if value.contains(&0) {
        return Err(ArchiveError::Pax);
    }
    Ok(Some(value).filter(|value| !value.is_empty()))
}

pub(super) fn decimal(digits: &[u8]) -> Result<u64, ArchiveError> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(ArchiveError::Pax);
    }
    let text = std::str::from_utf8(digits).map_err(|_| ArchiveError::Pax)?;
    text.parse::<u64>().ok().filter(|value| i64::try_from(*value).is_ok()).ok_or(ArchiveError::Pax)
}

/// `[-]seconds[.fraction]` as seconds and nanoseconds.
fn time(value: &[u8]) -> Result<(i64, u32), ArchiveError> {
    let (is_negative, value) = match value.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let mut parts = value.splitn(2, |byte| *byte == b'.');
    let seconds = decimal(parts.next().unwrap_or_default())?.cast_signed();
    let mut nanoseconds = 0_u32;
    let fraction = parts.next().unwrap_or_default();
    for place in 0..9 {
        let digit = fraction.get(place).copied().unwrap_or(b'0');
        if !digit.is_ascii_digit() {
            return Err(ArchiveError::Pax);
        }
        nanoseconds = nanoseconds * 10 + u32::from(digit - b'0');
    }
    Ok(match (is_negative, nanoseconds) {
        (false, _) => (seconds, nanoseconds),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, 1_000_000_000 - nanoseconds),
    })
}
