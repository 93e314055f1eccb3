use anyhow::Result;
use panono_tests::http;
use panono_tests::valkey::Valkey;
use panono_tests::varnish::Varnish;
use redis::AsyncCommands;

const HELLO: &str = r#"vcl 4.1;
import xkey;
backend none none;
sub vcl_recv { return (synth(200, "ok")); }
sub vcl_synth { synthetic("hello"); return (deliver); }
"#;

#[tokio::test]
async fn a_killed_valkey_comes_back_empty_on_its_port() -> Result<()> {
    let mut valkey = Valkey::start().await?;
    let url = valkey.url();
    let mut connection = valkey.connect().await?;
    connection.set::<_, _, ()>("key", "value").await?;
    valkey.process().kill()?;
    assert!(valkey.connect().await.is_err());
    valkey.restart().await?;
    assert_eq!(valkey.url(), url);
    let mut connection = valkey.connect().await?;
    assert!(!connection.exists::<_, bool>("key").await?);
    connection.set::<_, _, ()>("key", "value").await?;
    valkey.flush().await?;
    assert!(!connection.exists::<_, bool>("key").await?);
    Ok(())
}

#[tokio::test]
async fn varnish_serves_and_takes_another_vcl() -> Result<()> {
    let mut varnish = Varnish::start(HELLO, &[("http_gzip_support", "off")]).await?;
    let shown = varnish.admin(&["param.show", "http_gzip_support"]).await?;
    assert!(shown.contains("Value is: off"), "{shown}");
    assert_eq!(
        http::client()
            .get(varnish.url())
            .send()
            .await?
            .text()
            .await?,
        "hello"
    );
    varnish.load(&HELLO.replace("hello", "again")).await?;
    assert_eq!(
        http::client()
            .get(varnish.url())
            .send()
            .await?
            .text()
            .await?,
        "again"
    );
    let refused = varnish
        .load("vcl 4.1; nonsense")
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("nonsense"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn a_wrong_vcl_is_refused_with_the_compilers_words() {
    let refused = Varnish::start(
        "vcl 4.1; backend none none; sub vcl_recv { set req.http.x = nothing; }",
        &[],
    )
    .await;
    let message = format!("{:#}", refused.unwrap_err());
    assert!(message.contains("Symbol not found"), "{message}");
}
