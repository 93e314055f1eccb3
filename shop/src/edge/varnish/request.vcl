# Requests

# A request is first looked up as it came. What is found by its own URL passed everything below when it was fetched, under this very
# key, so that a fresh one may be delivered. All else starts again: it is read, cleaned and looked up by its normal form, and only
# then anything is asked of the origin. On the first way (no restart yet) headers of our names are still the client's: not to be read.
sub vcl_recv {
	if (req.restarts == 0) {
		# A body is refused below, and a range may have to be.
		if (req.method == "GET" && !req.http.Content-Length && !req.http.Transfer-Encoding && !req.http.Range) {
@USUAL_ENCODINGS@			set req.hash_ignore_busy = true;
			return (hash);
		}
		return (restart);
	}
	set req.hash_ignore_busy = false;
	if (req.restarts > 1) {
		call panono_recv_again;
	}
	call panono_drop_untrusted_headers;
	call panono_request_id;
	if (req.method == "PURGE") {
		call panono_recv_purge;
	}
	call panono_forwarded_for;
	call panono_refuse;
	call panono_host;
	call panono_target;

	if (req.url ~ "@PRIVATE_PATHS@") {
		set req.http.Panono-Private = "1";
		return (pass);
	}
	if (req.method != "GET" && req.method != "HEAD") {
		return (pass);
	}
	# A public answer depends on the host, the URL and the encoding. What could make it depend on more does not arrive.
	if (req.http.Authorization) {
		set req.http.Panono-Credentials = "1";
	}
	unset req.http.Cookie;
	unset req.http.Authorization;
	unset req.http.Accept;
	unset req.http.Accept-Language;
	unset req.http.Origin;
	unset req.http.X-Requested-With;
	unset req.http.Content-Length;
	unset req.http.Content-Type;
	# What is not one range of bytes is not understood here, and so ignored (RFC 9110, 14.2) instead of refused.
	if (req.http.Range !~ "^bytes=(?:[0-9]+-[0-9]*|-[0-9]+)$") {
		unset req.http.Range;
	}
	set req.url = req.http.Panono-Target;
	call panono_accept_encoding;
	return (hash);
}

# A request that was started again by vcl_hit or vcl_deliver: it is cleaned already, only its lookup differs.
sub panono_recv_again {
	if (req.http.Panono-Lock) {
		call panono_recv_purge;
	}
	if (req.http.Panono-Stale) {
		# The origin failed: whatever is still stored may be looked at.
		set req.grace = 3650d;
	} else {
		# Nothing stale: either a fresh object, or one fetch that all wait for.
		set req.grace = 0s;
	}
	# Twice the object of before a purge: then not even a third time, whatever is stored.
	set req.hash_always_miss = req.http.Panono-Passed == "2" && !req.http.Panono-Stale;
	return (hash);
}

sub panono_drop_untrusted_headers {
	if (client.ip ~ trusted_proxies && req.http.X-Forwarded-Proto ~ "^https?$") {
		var.set("scheme", req.http.X-Forwarded-Proto);
	} else {
		var.set("scheme", "@SCHEME@");
	}
	if (req.method == "PURGE") {
		return;
	}
	# Names by which some server, framework or proxy lets a client change the host, path, method, scheme or address that
	# the origin believes in; our own internal names; and names with an underscore, which some software reads as a dash.
	header.regsub(req, "^(?i)(?:panono-|surrogate-|x-panono-|x-forwarded-(?!for:)|x-original-|x-rewrite-|x-http-method|x-method-override|x-real-ip|x-client-ip|x-cluster-client-ip|x-originating-|x-remote-|x-proxyuser-|x-host:|x-scheme:|x-url-scheme:|x-request-id:|x-correlation-id:|x-varnish|x-dropped|true-client-ip|cf-|fastly-|cdn-|forwarded:|front-end-https:|proxy|via:|warning:|pragma:|upgrade:|http2-settings:|[^:]*_).*$", "X-Dropped: 1");
	unset req.http.X-Dropped;
}

# Not a secret, only a name that is unlikely to be given twice; shaped like a UUID of version 4.
sub panono_request_id {
	set req.http.X-Request-Id =
	    std.integer(real=std.random(10000000, 99999999), fallback=10000000) + "-" +
	    std.integer(real=std.random(1000, 9999), fallback=1000) + "-4" +
	    std.integer(real=std.random(100, 999), fallback=100) + "-8" +
	    std.integer(real=std.random(100, 999), fallback=100) + "-" +
	    std.integer(real=std.random(10, 99), fallback=10) +
	    std.integer(time=now, fallback=1000000000);
}

sub panono_forwarded_for {
	# Varnish has appended the peer to X-Forwarded-For by now. What came before it counts only from a trusted proxy.
	if (client.ip !~ trusted_proxies || req.http.X-Forwarded-For !~ "^[0-9A-Fa-f:., ]{1,1000}$") {
		set req.http.X-Forwarded-For = client.ip;
	}
	# The client is the last hop that is not a trusted proxy. Everything to its left was written by nobody we know. A client's
	# own X-Real-IP was dropped above, so that the origin may believe this one.
	set req.http.X-Real-IP = regsub(req.http.X-Forwarded-For, "^.*[, ]", "");
	set req.http.Panono-Hops = req.http.X-Forwarded-For;
	call panono_one_hop;
	call panono_one_hop;
	call panono_one_hop;
	call panono_one_hop;
	unset req.http.Panono-Hops;
	set req.http.X-Forwarded-Proto = var.get("scheme");
	set req.http.Via = "1.1 panono-edge";
}

# If the last hop is a trusted proxy, the one before it is whom it spoke for.
sub panono_one_hop {
	if (req.http.Panono-Hops ~ "," && std.ip(req.http.X-Real-IP, "0.0.0.0") ~ trusted_proxies) {
		set req.http.Panono-Hops = regsub(req.http.Panono-Hops, "[ ]*,[^,]*$", "");
		set req.http.X-Real-IP = regsub(req.http.Panono-Hops, "^.*[, ]", "");
	}
}

sub panono_refuse {
	if (req.method !~ "^(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)$") {
		return (synth(405));
	}
	if (req.url == "@EDGE_HEALTH_PATH@") {
		return (synth(200));
	}
	if (req.url !~ "^/" || !req.http.Host) {
		return (synth(400));
	}
	if (req.url ~ "^.{@MAXIMUM_TARGET@}.") {
		return (synth(414));
	}
	# Bytes that do not belong into a URI, and escapes that are none.
	if (req.url ~ "[^\x21-\x7e]" || req.url ~ "%(?![0-9A-Fa-f]{2})") {
		return (synth(400));
	}
	# Paths that two programs could read differently. Nothing the shop serves looks like this.
	if (req.url ~ "^[^?]*(?:\\|;|#|//|%(?i)(?:2f|5c|2e|3b|3f|23|25|[01][0-9a-f]|7f))" ||
	    req.url ~ "^[^?]*/\.{1,2}(?:/|\?|$)") {
		return (synth(404));
	}
	if (req.method == "GET" || req.method == "HEAD") {
		if (req.http.Transfer-Encoding || (req.http.Content-Length && req.http.Content-Length != "0")) {
			return (synth(400));
		}
	}
}

sub panono_host {
	set req.http.Host = std.tolower(req.http.Host);
	set req.http.Host = regsub(req.http.Host, "^(\[[0-9a-f:.]+\]|[^:]*?)\.?(?::[0-9]{1,5})?$", "\1");
	if (req.http.Host !~ "@HOSTS@") {
		return (synth(421));
	}
}

# The query without what only advertisers read, sorted. Every object can be found by its normalised URL, whatever its
# variant; a comma would end the tag.
sub panono_target {
	set req.http.Panono-Target = regsuball(req.url, "(?<=[?&])(?:@DROPPED_PARAMETERS@)(?:=[^&]*)?(?:&|$)", "");
	set req.http.Panono-Target = std.querysort(regsub(req.http.Panono-Target, "[?&]+$", ""));
	set req.http.Panono-Target-Tag = "url|" + req.http.Host + regsuball(req.http.Panono-Target, ",", "%2C");
}

# One encoding of those the shop prepares, chosen by the client's weights; equal weights are decided by our order.
sub panono_accept_encoding {
	if (req.http.Accept-Encoding) {
		std.collect(req.http.Accept-Encoding, ",");
		set req.http.Panono-Accepts = "," + regsuball(std.tolower(req.http.Accept-Encoding), "[ \t]+", "") + ",";
		set req.http.Panono-Accepts = regsuball(req.http.Panono-Accepts, ",x-gzip(?=[;,])", ",gzip");
		var.set("any", regsub(req.http.Panono-Accepts, "^.*?,\*(?:;q=([^,;]*))?(?:;[^,]*)?,.*$", "q\1"));
		call panono_weight_of_any;
		var.set("encoding", "");
		var.set_real("weight", 0.0);
@ENCODINGS@		# An explicitly preferred plain answer.
		if (req.http.Panono-Accepts ~ ",identity[;,]") {
			var.set("weight_text", regsub(req.http.Panono-Accepts, "^.*?,identity(?:;q=([^,;]*))?(?:;[^,]*)?,.*$", "q\1"));
			call panono_weight_of_text;
			if (var.get_real("candidate") > var.get_real("weight")) {
				var.set("encoding", "");
			}
		}
		unset req.http.Panono-Accepts;
		if (var.get("encoding") == "") {
			unset req.http.Accept-Encoding;
		} else {
			set req.http.Accept-Encoding = var.get("encoding");
		}
	}
}

sub panono_weight_of_any {
	var.set("weight_text", var.get("any"));
	if (req.http.Panono-Accepts ~ ",\*[;,]") {
		call panono_weight_of_text;
		var.set_real("any", var.get_real("candidate"));
	} else {
		var.set_real("any", 0.0);
	}
}

# `q0.5` to 0.5, a bare `q` to 1, what is not a weight to 0.
sub panono_weight_of_text {
	if (var.get("weight_text") == "q") {
		var.set_real("candidate", 1.0);
	} else if (var.get("weight_text") ~ "^q(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)$") {
		var.set_real("candidate", std.real(regsub(var.get("weight_text"), "^q([01])\.?([0-9]*)$", "\1.\20"), 0.0));
	} else {
		var.set_real("candidate", 0.0);
	}
}
