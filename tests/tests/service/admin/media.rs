//! Pictures: uploading them, and what products and categories show.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};

use super::*;

/// A picture of one colour.
fn picture(red: u8) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::from_pixel(60, 40, Rgb([red, 90, 90]))
        .write_to(&mut bytes, ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

impl Staff {
    async fn upload(&self, content_type: &str, bytes: Vec<u8>) -> Result<Reply> {
        let request = self
            .request(Method::POST, "/media")
            .header("content-type", content_type)
            .body(bytes);
        self.send(request).await
    }

    async fn uploaded(&self, red: u8) -> Result<String> {
        let reply = self.upload("image/png", picture(red)).await?.expect(201);
        Ok(reply.body["hash"].as_str().unwrap().to_owned())
    }
}

fn form(files: &[(&str, Vec<u8>)]) -> (String, Vec<u8>) {
    let mut body =
        b"--edge\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nfor the shop\r\n".to_vec();
    for (name, bytes) in files {
        body.extend_from_slice(
            format!("--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--edge--\r\n");
    ("multipart/form-data; boundary=edge".to_owned(), body)
}

#[tokio::test]
async fn a_picture_is_uploaded_once_whatever_the_way() -> Result<()> {
    let staff = Staff::start().await?;
    let first = staff.upload("image/png", picture(1)).await?.expect(201);
    let hash = first.body["hash"].as_str().unwrap();
    assert_eq!(
        (
            &first.body["content_type"],
            &first.body["width"],
            &first.body["height"]
        ),
        (&json!("image/png"), &json!(60), &json!(40))
    );
    assert_eq!(first.body["urls"]["card"], format!("/media/{hash}/card"));
    assert_eq!(
        first.header("location"),
        format!("/api/v1/admin/media/{hash}")
    );
    assert_eq!(staff.audits().await?, ["tester media.upload media-0"]);
    // What the bytes are decides, not what the client says they are.
    let again = staff.upload("image/jpeg", picture(1)).await?.expect(200);
    assert_eq!(again.body, first.body);
    let (content_type, body) = form(&[("a.png", picture(1))]);
    let again = staff.upload(&content_type, body).await?.expect(200);
    assert_eq!(again.body, first.body);
    assert_eq!(
        staff.audits().await?.len(),
        1,
        "the same picture changes nothing"
    );
    let read = staff.get(&format!("/media/{hash}")).await?.expect(200);
    assert_eq!(read.body, first.body);
    staff
        .get(&format!("/media/{}", "0".repeat(64)))
        .await?
        .problem(404, "not_found");
    staff.get("/media/x").await?.problem(404, "not_found");
    Ok(())
}

#[tokio::test]
async fn what_is_no_picture_is_refused_with_the_reason() -> Result<()> {
    let staff = Staff::start().await?;
    let mut broken = picture(2);
    broken.truncate(broken.len() / 2);
    let (of_form, two) = form(&[("a.png", picture(3)), ("b.png", picture(4))]);
    let (_, none) = form(&[]);
    for (content_type, body, status, code, reason) in [
        (
            "image/png",
            b"<svg/>".to_vec(),
            422,
            "unprocessable",
            "neither JPEG, PNG nor WebP",
        ),
        (
            "image/svg+xml",
            b"<svg/>".to_vec(),
            422,
            "unprocessable",
            "convert it",
        ),
        ("image/png", broken, 422, "unprocessable", "broken"),
        ("image/png", Vec::new(), 422, "unprocessable", "0 bytes"),
        (
            "application/json",
            b"{}".to_vec(),
            415,
            "unsupported_media_type",
            "multipart/form-data",
        ),
        (
            "image/png",
            vec![0; 20 * 1024 * 1024 + 1],
            413,
            "too_large",
            "at most",
        ),
        (of_form.as_str(), two, 400, "invalid_body", "several files"),
        (of_form.as_str(), none, 400, "invalid_body", "no part"),
        (
            of_form.as_str(),
            picture(5),
            400,
            "invalid_body",
            "not multipart",
        ),
        (
            "multipart/form-data",
            picture(5),
            400,
            "invalid_body",
            "boundary",
        ),
    ] {
        let refused = staff
            .upload(content_type, body)
            .await?
            .problem(status, code);
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.contains(reason), "{content_type}: {detail}");
    }
    assert_eq!(staff.value("SELECT COUNT(*) FROM media").await?, 0);
    assert!(staff.audits().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn pictures_that_an_import_awaits_stay_when_staff_set_others() -> Result<()> {
    let staff = Staff::start().await?;
    let (id, _) = staff.product("mug").await?;
    assert_eq!(id, 1);
    let path = format!("/products/{id}/media");
    let (one, two) = (staff.uploaded(10).await?, staff.uploaded(20).await?);
    staff
        .execute(
            "INSERT INTO product_media (product_id, position, source_url) VALUES (1, 0, 'https://a.example/0'), (1, 1, 'https://a.example/1')",
        )
        .await?;
    let media = |hashes: &[&String]| {
        let media: Vec<Value> = hashes.iter().map(|hash| json!({"hash": hash})).collect();
        json!({ "media": media })
    };
    let set = staff
        .write("PUT", &path, "*", media(&[&one, &two]))
        .await?
        .expect(200);
    assert_eq!(set.body["media"].as_array().unwrap().len(), 2);
    let order = "SELECT COUNT(*) FROM product_media WHERE product_id = 1 AND \
        (position, source_url) IN ((2, 'https://a.example/0'), (3, 'https://a.example/1'))";
    assert_eq!(
        staff.value(order).await?,
        2,
        "behind the others, in their order"
    );

    // What an import has brought keeps its source, by which the next import knows it again.
    staff
        .execute("UPDATE product_media SET source_url = 'https://a.example/one' WHERE position = 0")
        .await?;
    let fewer = staff
        .write("PUT", &path, &set.tag(), media(&[&one]))
        .await?
        .expect(200);
    assert_eq!(fewer.body["media"][0]["hash"], one);
    let order = "SELECT COUNT(*) FROM product_media WHERE product_id = 1 AND (position, source_url) IN \
        ((0, 'https://a.example/one'), (1, 'https://a.example/0'), (2, 'https://a.example/1'))";
    assert_eq!(staff.value(order).await?, 3);
    assert_eq!(staff.value("SELECT COUNT(*) FROM product_media").await?, 3);
    let unknown = staff
        .write("PUT", &path, "*", media(&[&"f".repeat(64)]))
        .await?
        .problem(422, "unprocessable");
    assert_eq!(unknown.fields(), ["/media/0/hash"]);
    Ok(())
}

#[tokio::test]
async fn a_category_has_a_picture() -> Result<()> {
    let staff = Staff::start().await?;
    let hash = staff.uploaded(30).await?;
    let id = staff.category("mugs", None).await?;
    let path = format!("/categories/{id}");
    staff.forget().await?;
    let shown = staff
        .write("PATCH", &path, "*", json!({ "media_hash": hash }))
        .await?
        .expect(200);
    assert_eq!(shown.body["media_hash"], hash);
    use panono_shop::edge::tags::Tag;
    assert_eq!(
        staff.purges().await?,
        [purge("soft", [Tag::category(id), Tag::menu()])]
    );
    let unknown = json!({ "media_hash": "f".repeat(64) });
    let refused = staff
        .write("PATCH", &path, "*", unknown)
        .await?
        .problem(422, "unprocessable");
    assert_eq!(refused.fields(), ["/media_hash"]);
    let bare = staff
        .write("PATCH", &path, &shown.tag(), json!({ "media_hash": null }))
        .await?
        .expect(200);
    assert!(bare.body["media_hash"].is_null());
    let body = json!({"media_hash": hash, "translations": {"en": {"name": "Cups"}}});
    let new = staff.post("/categories", body).await?.expect(201);
    assert_eq!(new.body["media_hash"], hash);
    Ok(())
}

#[tokio::test]
async fn what_an_archived_category_fed_is_listed_no_longer() -> Result<()> {
    let staff = Staff::start().await?;
    let top = staff.category("kitchen", None).await?;
    let mugs = staff.category("mugs", Some(top)).await?;
    let cups = staff.category("cups", Some(top)).await?;
    let (both, _) = staff.product("both").await?;
    let (one, _) = staff.product("one").await?;
    assert_eq!((top, mugs, cups, both, one), (1, 2, 3, 1, 2));
    for (product, category) in [(both, mugs), (both, cups), (one, mugs)] {
        staff
            .write(
                "PUT",
                &format!("/products/{product}/categories/{category}"),
                "*",
                json!({}),
            )
            .await?
            .expect(200);
    }
    let listed = "SELECT COUNT(*) FROM listing WHERE currency = 'EUR' AND category_id = 1";
    assert_eq!(staff.value(listed).await?, 2);
    staff
        .write(
            "POST",
            &format!("/categories/{mugs}/archive"),
            "*",
            Value::Null,
        )
        .await?
        .expect(200);
    assert_eq!(
        staff.value(listed).await?,
        1,
        "the other one is in a category that is left"
    );
    let left = "SELECT COUNT(*) FROM listing WHERE category_id = 2";
    assert_eq!(staff.value(left).await?, 0);
    let whole = "SELECT COUNT(*) FROM listing WHERE currency = 'EUR' AND category_id = 0";
    assert_eq!(staff.value(whole).await?, 2, "both are still sold");
    let body = json!({"parent_id": mugs, "translations": {"en": {"name": "Lost"}}});
    let lost = staff
        .post("/categories", body)
        .await?
        .problem(422, "unprocessable");
    assert_eq!(lost.fields(), ["/parent_id"]);
    Ok(())
}
