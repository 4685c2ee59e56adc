//! A link as a picture that the camera of a phone reads.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};
use qrcode::QrCode;
use qrcode::render::svg;

/// The picture. Nothing if the link is too long for one.
pub(super) fn picture(link: &str) -> Markup {
    let Ok(code) = QrCode::new(link) else { return html! {} };
    let picture = code.render::<svg::Color<'_>>().min_dimensions(192, 192).build();
    let data = format!("data:image/svg+xml;base64,{}", STANDARD.encode(picture));
    html! { img class="qr" alt="QR code of the link" width="192" height="192" src=(data); }
}
