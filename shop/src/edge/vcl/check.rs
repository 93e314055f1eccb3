//! Reading what goes into the VCL: only what could be written there as it is comes through.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::VclError;

pub(super) fn escape_regex(text: &str) -> String {
    text.replace('.', "\\.")
        .replace('[', "\\[")
        .replace(']', "\\]")
}

pub(super) fn checked_backend(backend: &str) -> Result<(&str, u16), VclError> {
    let error = || VclError::Backend(backend.to_owned());
    let (host, port) = backend.rsplit_once(':').ok_or_else(error)?;
    let port: u16 = port.parse().map_err(|_| error())?;
    let host = match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(address) if address.parse::<Ipv6Addr>().is_ok() => address,
        Some(_) => return Err(error()),
        None if is_host_name(host) => host,
        None => return Err(error()),
    };
    if port == 0 {
        Err(error())
    } else {
        Ok((host, port))
    }
}

pub(super) fn checked_host(host: &str) -> Result<&str, VclError> {
    let bracketed = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let good = match bracketed {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => is_host_name(host),
    };
    if good && host == host.to_ascii_lowercase() {
        Ok(host)
    } else {
        Err(VclError::Host(host.to_owned()))
    }
}

fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

pub(super) fn checked_path(path: &str) -> Result<&str, VclError> {
    let segment = |segment: &str| {
        !segment.is_empty()
            && segment != "."
            && segment != ".."
            && segment
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    match path.strip_prefix('/') {
        Some(rest) if path.len() <= 200 && rest.split('/').all(segment) => Ok(path),
        _ => Err(VclError::Path(path.to_owned())),
    }
}

/// One line of an ACL.
pub(super) fn checked_network(entry: &str) -> Result<String, VclError> {
    let error = || VclError::Network(entry.to_owned());
    let (address, prefix) = match entry.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (entry, None),
    };
    let address: IpAddr = address.parse().map_err(|_| error())?;
    let bits: u8 = if address.is_ipv4() { 32 } else { 128 };
    let prefix: u8 = match prefix {
        None => bits,
        Some(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().map_err(|_| error())?
        }
        Some(_) => return Err(error()),
    };
    if prefix > bits {
        return Err(error());
    }
    let network = match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    };
    if network != address {
        return Err(VclError::NetworkBits {
            given: entry.to_owned(),
            network: format!("{network}/{prefix}"),
        });
    }
    Ok(if prefix == bits {
        format!("\t\"{address}\";")
    } else {
        format!("\t\"{address}\"/{prefix};")
    })
}
