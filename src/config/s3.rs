//! `[s3]`: a bucket for the files of users.

use std::time::Duration;

use rusty_s3::{Bucket, Credentials, UrlStyle};

use super::error::Problems;
use super::secret::Secret;
use super::section::{Fields, section};
use super::units::{minutes, seconds};
use super::value::{SecretFile, SecretText, Switch, Text, Time};

section! {
    /// A bucket with the interface of Amazon S3 (MinIO, Garage, Ceph and others), in which the files of users are kept
    /// instead of on the local disk (XEP-0363). `docs/files.md` explains it.
    ///
    /// Files that were uploaded before stay on the disk and are not found any more: copy them first.
    pub struct S3Config = "s3";

    /// The bucket. If it is not set, files are kept on the local disk.
    bucket: Option<String> = None => Text("\"waxwing-files\""), Restart;

    /// Address of the service: `https://` or, within a network that is trusted, `http://`.
    endpoint: Option<String> = None => Text("\"https://s3.eu-central-1.amazonaws.com\""), Restart;

    /// The bucket is a part of the host name, `https://BUCKET.s3.example.org/`. If not, it follows in the path.
    virtual_host: bool = false => Switch, Restart;

    /// The region, which is a part of each signature. Services that have none take any, mostly `us-east-1`.
    region: String = "us-east-1".to_owned() => Text("\"eu-central-1\""), Restart;

    /// The name of the key that may list the bucket, and read, write and delete its objects.
    access_key: Option<String> = None => Text("\"AKIAIOSFODNN7EXAMPLE\""), Restart;

    /// The secret of the key.
    secret: Option<Secret> = None => SecretText("\"${S3_SECRET}\""), Restart;

    /// A file with this secret, in one line.
    secret_file: Option<Secret> = None => SecretFile("\"/etc/waxwing/s3.secret\""), Restart;

    /// Send clients that download a file to the service, with an address that is signed for five minutes. If not, the
    /// server passes the bytes on, and clients need not reach the service.
    redirect: bool = false => Switch, Restart;

    /// Time in which the service must answer a request, or send or take the next bytes of a file. A file that is sent
    /// to it has so much more time as it takes at 64 KiB in a second.
    timeout: Duration = seconds(30) => Time::between(seconds(1), minutes(10))
        .not_less("connections need some time"), Restart;
}

impl S3Config {
    /// The bucket, and the key for it. `None`: files are kept on the local disk.
    #[must_use]
    pub fn access(&self) -> Option<(Bucket, Credentials)> {
        let bucket = self.bucket_at(self.endpoint.as_deref()?)?.ok()?;
        let secret = self.secret.as_ref().or(self.secret_file.as_ref())?;
        Some((bucket, Credentials::new(self.access_key.as_deref()?, secret.text())))
    }

    /// The bucket at an address. `None`: there is no bucket. `Err`: why there cannot be one.
    fn bucket_at(&self, endpoint: &str) -> Option<Result<Bucket, String>> {
        let name = self.bucket.clone()?;
        let style = if self.virtual_host { UrlStyle::VirtualHost } else { UrlStyle::Path };
        let read = match endpoint.parse() {
            Ok(address) => Bucket::new(address, style, name, self.region.clone())
                .map_err(|error| error.to_string()),
            Err(error) => Err(format!("{error}")),
        };
        Some(read)
    }
}

/// Refuses a bucket that cannot be reached for lack of an address or a key.
pub(super) fn check(s3: &S3Config, fields: &Fields<'_>, problems: &mut Problems<'_>) {
    let at = |name| fields.value_of(name).unwrap_or_else(|| fields.at.clone());
    let Some(bucket) = &s3.bucket else { return };
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    if !bucket.chars().all(is_plain) || bucket.starts_with('.') {
        let help = "write lower-case letters, digits, hyphens and dots".to_owned();
        problems.add(&at("bucket"), "`bucket` is not the name of a bucket", help);
    }
    if let Some(endpoint) = &s3.endpoint
        && let Some(Err(why)) = s3.bucket_at(endpoint)
    {
        let help = "write for example \"https://s3.example.org\"".to_owned();
        problems.add(&at("endpoint"), format!("`endpoint` is not an address of S3: {why}"), help);
    }
    for (name, is_set) in [
        ("endpoint", s3.endpoint.is_some()),
        ("access_key", s3.access_key.is_some()),
        ("secret", s3.secret.is_some() || s3.secret_file.is_some()),
    ] {
        if !is_set {
            let message = format!("`bucket` is set, but `{name}` is not");
            problems.add(&at("bucket"), message, format!("add `{name}`"));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    const KEY: &str = "access_key = 'a'\nsecret = 'b'\n";

    #[test]
    fn a_bucket_has_an_address_and_a_key() {
        for (text, expected) in [
            ("bucket = 'files'\nendpoint = 'https://s3.example'\n", "https://s3.example/files/"),
            ("bucket = 'files'\nendpoint = 'http://[::1]:9000/x'\n", "http://[::1]:9000/x/files/"),
            (
                "bucket = 'files'\nendpoint = 'https://s3.example'\nvirtual_host = true\n",
                "https://files.s3.example/",
            ),
        ] {
            let config = Config::parse(&format!("[s3]\n{text}{KEY}"), "test").unwrap();
            let (bucket, key) = config.s3.access().unwrap();
            assert_eq!((bucket.base_url().as_str(), key.secret()), (expected, "b"));
            assert!(!format!("{:?}{key:?}", config.s3).contains("\"b\""));
        }
        assert!(Config::parse(&format!("[s3]\n{KEY}"), "test").unwrap().s3.access().is_none());
        for (text, expected) in [
            ("bucket = 'files'\n", "`bucket` is set, but `endpoint` is not"),
            ("bucket = 'files'\nendpoint = 'https://a'\nsecret = 'b'\n", "but `access_key` is not"),
            ("bucket = 'files'\nendpoint = 'https://a'\naccess_key = 'b'\n", "but `secret` is not"),
            ("bucket = '../x'\nendpoint = 'https://a'\n", "is not the name of a bucket"),
            ("bucket = 'x'\nendpoint = 'ftp://a'\n", "is not an address of S3"),
            ("bucket = 'x'\nendpoint = 'a'\n", "is not an address of S3"),
        ] {
            let problems = Config::parse(&format!("[s3]\n{text}"), "test").unwrap_err().to_string();
            assert!(problems.contains(expected), "{text}: {problems}");
        }
    }
}
