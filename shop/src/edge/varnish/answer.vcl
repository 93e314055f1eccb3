# Answers

sub vcl_deliver {
	if (req.restarts == 0) {
		call panono_deliver_usual;
	}
	if (resp.http.Panono-Edge-Failure == "1" && req.http.Panono-Have-Stale && !req.http.Panono-Stale) {
		set req.http.Panono-Stale = "1";
		set req.http.Panono-Forward-Status = resp.status;
		unset req.http.Panono-Fetched;
		return (restart);
	}
	if (req.http.Panono-Fetched && !obj.uncacheable && resp.http.Panono-Edge) {
		if (std.integer(regsub(resp.http.Panono-Edge, "@EDGE_TIMES@", "\5"), 0) < std.integer(var.global_get("floor"), 0)) {
			# A purge came after vcl_backend_response looked at the floor, perhaps before the object could be found by its
			# tags, as it can be now. This client asked before that and may have the answer; nobody else gets it.
			set req.http.Panono-Purged = xkey.purge(req.http.Panono-Target-Tag);
		}
		vsthrottle.return_token(regsub(resp.http.Panono-Edge, "@EDGE_TIMES@", "\4"), 1, @LOOK_AGAIN@s);
	}
	call panono_invalidate;
	call panono_cache_status;
	if (resp.http.Panono-Edge-Failure) {
		unset resp.http.Vary;
	}
	call panono_clean_answer;
	set resp.http.X-Request-Id = req.http.X-Request-Id;
	call panono_if_none_match;
	return (deliver);
}

# A fresh hit at the first look. Everything else that is not for the shopper was taken out when this was stored, and Cache-Status
# says `hit` since then. No origin heard of this request, so the number under which our log has it is the name to find it by.
sub panono_deliver_usual {
	unset resp.http.xkey;
	unset resp.http.Panono-Edge;
	unset resp.http.Via;
	unset resp.http.X-Varnish;
	set resp.http.X-Request-Id = req.xid;
	call panono_if_none_match;
	return (deliver);
}

sub panono_if_none_match {
	# Varnish compares the whole field with one tag; RFC 9110 allows a list, and any tag.
	if (req.http.If-None-Match && resp.http.ETag && resp.status == 200 &&
	    (req.http.If-None-Match == "*" || std.strstr(req.http.If-None-Match, regsub(resp.http.ETag, "^W/", "")))) {
		set req.http.If-None-Match = resp.http.ETag;
	}
}

# RFC 9111, section 4.4: an unsafe request that succeeded invalidates what is stored for its target.
sub panono_invalidate {
	if (req.method ~ "^(?:POST|PUT|PATCH|DELETE)$" && !req.http.Panono-Private && resp.status >= 200 && resp.status < 400) {
		set req.http.Panono-Purged = xkey.softpurge(req.http.Panono-Target-Tag);
		if (req.http.Panono-Purged != "0") {
			var.global_set("purged", "" + std.real(time=now));
		}
	}
}

# RFC 9211.
sub panono_cache_status {
	set req.http.Panono-Status = "panono-edge";
	if (!req.http.Panono-Forward) {
		set req.http.Panono-Status = req.http.Panono-Status + "; hit";
	} else {
		set req.http.Panono-Status = req.http.Panono-Status + "; fwd=" + req.http.Panono-Forward;
		if (req.http.Panono-Forward-Status) {
			set req.http.Panono-Status = req.http.Panono-Status + "; fwd-status=" + req.http.Panono-Forward-Status;
		} else if (req.http.Panono-Fetched) {
			set req.http.Panono-Status = req.http.Panono-Status + "; fwd-status=" + resp.status;
		}
	}
	if (resp.http.Panono-Edge && !obj.uncacheable) {
		set req.http.Panono-Status = req.http.Panono-Status + "; ttl=" + std.integer(duration=obj.ttl, fallback=0);
		if (req.http.Panono-Fetched) {
			set req.http.Panono-Status = req.http.Panono-Status + "; stored";
		}
	}
	if (req.http.Panono-Collapsed) {
		set req.http.Panono-Status = req.http.Panono-Status + "; collapsed";
	}
	if (req.http.Panono-Detail) {
		set req.http.Panono-Status = req.http.Panono-Status + "; detail=" + req.http.Panono-Detail;
	}
	if (resp.http.Cache-Status) {
		std.collect(resp.http.Cache-Status, ", ");
		if (resp.http.Panono-Edge) {
			set resp.http.Cache-Status = regsub(resp.http.Cache-Status, "(?:, )?panono-edge; hit$", "");
		}
	}
	if (resp.http.Cache-Status && resp.http.Cache-Status != "") {
		set resp.http.Cache-Status = resp.http.Cache-Status + ", " + req.http.Panono-Status;
	} else {
		set resp.http.Cache-Status = req.http.Panono-Status;
	}
}

sub panono_clean_answer {
	header.regsub(resp, "^(?i)(?:panono-|surrogate-|cdn-cache-control|x-varnish|x-dropped|cache-tag:|xkey:|via:|warning:).*$", "X-Dropped: 1");
	unset resp.http.X-Dropped;
}

sub vcl_synth {
	unset resp.http.Server;
	unset resp.http.X-Varnish;
	set resp.http.Cache-Control = "no-store";
	set resp.http.X-Content-Type-Options = "nosniff";
	set resp.http.X-Request-Id = req.http.X-Request-Id;
	if (req.method == "PURGE") {
		set resp.http.Content-Type = "text/plain; charset=utf-8";
		if (resp.status == 200) {
			set resp.http.Panono-Purged = req.http.Panono-Purged;
			set resp.http.Panono-Floor = std.integer(var.global_get("floor"), 0);
			set resp.body = "purged" + {"
"};
		} else if (resp.status == 400) {
			set resp.body = {"Panono-Sequence must be a decimal number of at most 15 digits, Panono-Purge soft or hard, Surrogate-Key tags of A-Z a-z 0-9 _ . : - separated by spaces
"};
		} else if (resp.status == 403) {
			set resp.body = {"this address may not purge, or the Panono-Purge-Token is not right
"};
		} else {
			set resp.http.Retry-After = "1";
			set resp.body = {"other purges are in the way, send it again
"};
		}
		return (deliver);
	}
	if (req.url == "@EDGE_HEALTH_PATH@" && resp.status == 200) {
		set resp.http.Content-Type = "text/plain; charset=utf-8";
		set resp.body = {"ok
"};
		return (deliver);
	}
	set resp.http.Cache-Status = "panono-edge";
	if (req.http.Panono-Forward) {
		set resp.http.Cache-Status = resp.http.Cache-Status + "; fwd=" + req.http.Panono-Forward;
		if (req.http.Panono-Forward-Status) {
			set resp.http.Cache-Status = resp.http.Cache-Status + "; fwd-status=" + req.http.Panono-Forward-Status;
		}
	}
	if (resp.status == 405) {
		set resp.http.Allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
	}
	if (resp.status == 503) {
		set resp.http.Retry-After = "5";
	}
	if (resp.status == 400 || resp.status == 414) {
		# What follows on this connection cannot be trusted to be a new request.
		set resp.http.Connection = "close";
	}
	if (req.url ~ "^/api/") {
		set resp.http.Content-Type = "application/problem+json";
		set resp.body = {"{"code":"edge_refused","type":"about:blank","title":""} + resp.reason + {"","status":"} + resp.status + {"}
"};
	} else {
		set resp.http.Content-Type = "text/html; charset=utf-8";
		set resp.body = {"<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>"} + resp.status + {"</title></head>
<body><h1>"} + resp.status + " " + resp.reason + {"</h1></body></html>
"};
	}
	return (deliver);
}
