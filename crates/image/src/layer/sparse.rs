//! Sparse files in tar: the old GNU header and GNU's PAX formats 0.0, 0.1 and 1.0.

use std::io::Read;

use super::archive::{ArchiveError, BLOCK, Block, Reader, number, slice};
use super::pax::{SparseRecords, decimal};

/// A stretch of stored content and where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// Where all stored content belongs, and how long the file is with its holes.
pub(super) struct Map {
    pub(super) regions: Vec<Region>,
    pub(super) real_size: u64,
}

/// Reads the map of a sparse file, if the entry is one.
pub(super) fn read<R: Read>(
    reader: &mut Reader<R>,
    block: &Block,
    flag: u8,
    records: &mut SparseRecords,
) -> Result<Option<Map>, ArchiveError> {
    let map = if flag == b'S' {
        old_gnu(reader, block)?
    } else if records.is_present {
        let real_size = records.real_size.ok_or(ArchiveError::Sparse)?;
        let numbers = match records.major_minor {
            (Some(1), Some(0)) => map_in_content(reader)?,
            (None | Some(0), _) => std::mem::take(&mut records.map),
            _ => return Err(ArchiveError::Sparse),
        };
        Map { regions: pairs(&numbers)?, real_size }
    } else {
        return Ok(None);
    };
    check(&map, reader.remaining())?;
    Ok(Some(map))
}

fn pairs(numbers: &[u64]) -> Result<Vec<Region>, ArchiveError> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(ArchiveError::Sparse);
    }
    Ok(pairs.iter().map(|[offset, length]| Region { offset: *offset, length: *length }).collect())
}

/// Regions rise, do not overlap, stay within the file and account for all stored content.
fn check(map: &Map, stored: u64) -> Result<(), ArchiveError> {
    let mut end = 0_u64;
    let mut total = 0_u64;
    for region in &map.regions {
        if region.offset < end {
            return Err(ArchiveError::Sparse);
        }
        end = region.offset.checked_add(region.length).ok_or(ArchiveError::Sparse)?;
        total = total.checked_add(region.length).ok_or(ArchiveError::Sparse)?;
    }
    if end > map.real_size || total != stored {
        return Err(ArchiveError::Sparse);
    }
    Ok(())
}

fn old_gnu<R: Read>(reader: &mut Reader<R>, block: &Block) -> Result<Map, ArchiveError> {
    let unsigned = |field: &[u8]| -> Result<u64, ArchiveError> {
        u64::try_from(number(field, "sparse map")?).map_err(|_| ArchiveError::Sparse)
    };
    let mut regions = Vec::new();
    let mut take = |table: &[u8]| -> Result<(), ArchiveError> {
        let (entries, _) = table.as_chunks::<24>();
        for entry in entries.iter().take_while(|entry| entry.first() != Some(&0)) {
            let (offset, length) = entry.split_at(12);
            regions.push(Region { offset: unsigned(offset)?, length: unsigned(length)? });
        }
        Ok(())
    };
    take(slice(block, 386, 96))?;
    let mut is_extended = block.get(482).is_some_and(|byte| *byte != 0);
    let mut bytes = 0_u64;
    while is_extended {
        bytes += BLOCK as u64;
        if bytes > reader.header_bytes_max() {
            return Err(ArchiveError::HeaderTooLarge { max: reader.header_bytes_max() });
        }
        let more = reader.read_block()?;
        take(slice(&more, 0, 504))?;
        is_extended = more.get(504).is_some_and(|byte| *byte != 0);
    }
    Ok(Map { regions, real_size: unsigned(slice(block, 483, 12))? })
}

/// Format 1.0 keeps the map as lines of decimal numbers in front of the content, in whole blocks.
fn map_in_content<R: Read>(reader: &mut Reader<R>) -> Result<Vec<u64>, ArchiveError> {
    let mut text: Vec<u8> = Vec::new();
    let mut numbers: Vec<u64> = Vec::new();
    let mut line_start = 0;
    let mut wanted = 1_u64;
    let mut at = 0;
    while (numbers.len() as u64) < wanted {
        if at == text.len() {
            if text.len() as u64 >= reader.header_bytes_max() {
                return Err(ArchiveError::HeaderTooLarge { max: reader.header_bytes_max() });
            }
            let mut block = [0_u8; BLOCK];
            reader.read_content(&mut block)?;
            text.extend_from_slice(&block);
        }
        if text.get(at) == Some(&b'\n') {
            let value = decimal(text.get(line_start..at).unwrap_or_default())
                .map_err(|_| ArchiveError::Sparse)?;
            if numbers.is_empty() {
                let count = value.checked_mul(2).ok_or(ArchiveError::Sparse)?;
                wanted = count.checked_add(1).ok_or(ArchiveError::Sparse)?;
            }
            numbers.push(value);
            line_start = at + 1;
        }
        at += 1;
    }
    numbers.remove(0);
    Ok(numbers)
}
