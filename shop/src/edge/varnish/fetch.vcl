# Fetching

sub vcl_backend_fetch {
	if (bereq.retries == 0) {
		var.set("have_stale", bereq.http.Panono-Have-Stale);
		var.set("private", bereq.http.Panono-Private);
		var.set("credentials", bereq.http.Panono-Credentials);
		var.set("tag", bereq.http.Panono-Target-Tag);
		# The origin failed a moment ago; the client was served what is stored.
		if (bereq.is_bgfetch && bereq.http.Panono-Stale) {
			return (abandon);
		}
	}
	header.regsub(bereq, "^(?i)(?:panono-|x-varnish:).*$", "X-Dropped: 1");
	unset bereq.http.X-Dropped;
	set bereq.backend = shop.backend();
	if (!bereq.uncacheable) {
		set bereq.http.Panono-Floor = std.integer(var.global_get("floor"), 0);
	}
	if (bereq.method == "GET" || bereq.method == "HEAD") {
		unset bereq.body;
	}
	return (fetch);
}

sub vcl_backend_response {
	unset beresp.http.X-HashTwo;
	unset beresp.http.Warning;
	if (bereq.uncacheable) {
		if (beresp.status == 503 && (bereq.method == "GET" || bereq.method == "HEAD") && bereq.retries < 2) {
			return (retry);
		}
		if (var.get("private") == "1" && !beresp.http.Cache-Control) {
			set beresp.http.Cache-Control = "private, no-store";
		}
		return (deliver);
	}
	if (beresp.status >= 500) {
		call panono_response_failed;
	}
	call panono_tags;
	call panono_lifetime;
	if (var.get("verdict") != "store") {
		call panono_do_not_store;
	}
	if (beresp.http.Content-Encoding && !beresp.http.Vary) {
		set beresp.http.Vary = "Accept-Encoding";
	}
	set beresp.ttl = var.get_duration("lifetime");
	set beresp.grace = var.get_duration("while_revalidate");
	if (var.get_duration("if_error") > beresp.grace) {
		set beresp.grace = var.get_duration("if_error");
	}
	set beresp.keep = @KEEP@s;
	call panono_freshness;
	# What is for the edge alone, and what a stored answer brought along for this. `xkey` is what tags are found by.
	header.regsub(beresp, "^(?i)(?:panono-|surrogate-|cdn-cache-control|x-varnish|x-dropped|cache-tag:|via:|x-request-id:).*$", "X-Dropped: 1");
	unset beresp.http.X-Dropped;
	# When it was stored, for how long it may be shown stale while it is refreshed, and if that fails, by which fetch it came, and
	# what was purged until then.
	var.set("fetch", "fetch " + bereq.xid);
	set beresp.http.Panono-Edge = std.real(time=now) + " " + var.get_duration("while_revalidate") + "s " + var.get_duration("if_error") + "s " +
	    var.get("fetch") + " floor " + std.integer(var.get("floor"), 0) + ";";
	# Its only token is away until the request that waits for this fetch has looked for purges once more. (The number of a fetch
	# is given once, so there is a token to take. Without one this would be as good as a fetch that nobody waits for.)
	if (bereq.is_bgfetch || vsthrottle.is_denied(var.get("fetch"), 1, @LOOK_AGAIN@s)) {
		set beresp.http.Panono-Edge = beresp.http.Panono-Edge + " background";
	} else if (beresp.age == 0s && beresp.keep > 0s) {
		# Its age is that in here. A hit sees it by this second, for which it need not read a header. (Others have their age from elsewhere.)
		set beresp.keep = beresp.keep + 1s;
	}
	# What a hit will say; nothing is written at that time.
	if (beresp.http.Cache-Status) {
		std.collect(beresp.http.Cache-Status, ", ");
		set beresp.http.Cache-Status = regsub(beresp.http.Cache-Status, "(?:, )?panono-edge; hit$", "");
	}
	if (beresp.http.Cache-Status && beresp.http.Cache-Status != "") {
		set beresp.http.Cache-Status = beresp.http.Cache-Status + ", panono-edge; hit";
	} else {
		set beresp.http.Cache-Status = "panono-edge; hit";
	}
	return (deliver);
}

sub panono_tags {
	# After a 304 the stored headers are merged in: `xkey` is then what was made below from the stored answer.
	if (!beresp.was_304) {
		unset beresp.http.xkey;
	}
	if (beresp.http.Surrogate-Key) {
		std.collect(beresp.http.Surrogate-Key, " ");
		set beresp.http.xkey = beresp.http.Surrogate-Key;
	} else if (beresp.http.Cache-Tag) {
		std.collect(beresp.http.Cache-Tag, ",");
		set beresp.http.xkey = beresp.http.Cache-Tag;
	}
	set beresp.http.xkey = regsub(beresp.http.xkey, "[ ,]*url\|.*$", "");
	if (beresp.http.xkey != "") {
		var.set("tagged", "1");
	}
	set beresp.http.xkey = beresp.http.xkey + " " + var.get("tag");
	unset beresp.http.Surrogate-Key;
	unset beresp.http.Cache-Tag;
}

# Sets `verdict`, and the durations `lifetime` (what is left of it), `while_revalidate` and `if_error`.
sub panono_lifetime {
	var.set("verdict", "");
	var.set("directives", "");
	var.set("targeted", "");
	var.set_duration("lifetime", 0s);
	var.set_duration("while_revalidate", 0s);
	var.set_duration("if_error", 0s);
	if (beresp.http.CDN-Cache-Control) {
		call panono_targeted_directives;
	}
	if (var.get("directives") == "") {
		if (beresp.http.Cache-Control) {
			call panono_general_directives;
		} else if (beresp.http.Expires && var.get("credentials") != "1") {
			var.set("directives", ",,");
		}
	}
	if (var.get("directives") == "") {
		return;
	}
	var.set("status", "" + beresp.status);
	if (var.get("directives") ~ ",(?:no-store|private|no-cache)[=,]" ||
	    beresp.http.Set-Cookie ||
	    var.get("status") !~ "^(?:200|203|204|300|301|302|303|307|308|404|410|451)$" ||
	    (beresp.http.Vary && std.tolower(beresp.http.Vary) !~ "^[ ,]*accept-encoding(?:[ ,]+accept-encoding)*[ ,]*$")) {
		return;
	}
	# A lifetime is an integer. Of nine digits and more it is longer than we keep anything.
	var.set("seconds", "");
	if (var.get("directives") ~ ",s-maxage=[0-9]+,") {
		var.set("seconds", regsub(var.get("directives"), "^.*,s-maxage=0*([0-9]+),.*$", "\1"));
	} else if (var.get("directives") ~ ",max-age=[0-9]+,") {
		var.set("seconds", regsub(var.get("directives"), "^.*,max-age=0*([0-9]+),.*$", "\1"));
	}
	call panono_seconds;
	if (var.get("targeted") != "1" && var.get("directives") !~ ",(?:max-age|s-maxage)[=,]" && beresp.http.Expires) {
		var.set_duration("seconds", std.time(beresp.http.Expires, std.real2time(0.0, now)) - std.time(beresp.http.Date, now));
		if (var.get_duration("seconds") > @MAXIMUM_LIFETIME@s) {
			var.set_duration("seconds", @MAXIMUM_LIFETIME@s);
		}
	}
	var.set_duration("lifetime", var.get_duration("seconds") - beresp.age);
	if (beresp.http.Age ~ "^[ \t]*[0-9]+\.") {
		# Varnish reads the digits of what is no number of seconds; RFC 9111, section 5.1, ignores it.
		var.set_duration("lifetime", var.get_duration("seconds"));
	}
	if (var.get_duration("lifetime") <= 0s) {
		return;
	}
	var.set("verdict", "store");
	if (var.get("directives") !~ ",(?:must-revalidate|proxy-revalidate)[=,]") {
		var.set("seconds", "");
		if (var.get("directives") ~ ",stale-while-revalidate=[0-9]+,") {
			var.set("seconds", regsub(var.get("directives"), "^.*,stale-while-revalidate=0*([0-9]+),.*$", "\1"));
		}
		call panono_seconds;
		var.set_duration("while_revalidate", var.get_duration("seconds"));
		var.set("seconds", "");
		if (var.get("directives") ~ ",stale-if-error=[0-9]+,") {
			var.set("seconds", regsub(var.get("directives"), "^.*,stale-if-error=0*([0-9]+),.*$", "\1"));
		}
		call panono_seconds;
		var.set_duration("if_error", var.get_duration("seconds"));
	}
}

# The text `seconds` as the duration `seconds`, at most the longest we keep anything.
sub panono_seconds {
	var.set("seconds_text", var.get("seconds"));
	if (var.get("seconds_text") ~ "^[0-9]{1,9}$") {
		var.set_duration("seconds", std.duration(var.get("seconds_text") + "s", 0s));
	} else if (var.get("seconds_text") ~ "^[0-9]+$") {
		var.set_duration("seconds", @MAXIMUM_LIFETIME@s);
	} else {
		var.set_duration("seconds", 0s);
	}
	if (var.get_duration("seconds") > @MAXIMUM_LIFETIME@s) {
		var.set_duration("seconds", @MAXIMUM_LIFETIME@s);
	}
}

# RFC 9213: the field is a structured dictionary (RFC 9651) or it is not there. `directives` becomes `,name,name=value,`
# with the last value of each name, without parameters and with strings emptied; a flag that is false is left out.
sub panono_targeted_directives {
	std.collect(beresp.http.CDN-Cache-Control, ", ");
	if (beresp.http.CDN-Cache-Control !~ {"(?x)
		^[ ]* (?&member) (?: [ \t]*,[ \t]* (?&member) )* [ ]*$
		(?(DEFINE)
			(?<member> (?&key) (?: = (?: (?&list) | (?&item) ) )? (?&parameters) )
			(?<list>   \( [ ]* (?: (?&item) (?&parameters) (?: [ ]+ (?&item) (?&parameters) )* [ ]* )? \) )
			(?<parameters> (?: ; [ ]* (?&key) (?: = (?&item) )? )* )
			(?<key>    [a-z*] [a-z0-9_.*-]* )
			(?<item>   @? -? [0-9]{1,15} (?! [0-9.] )
			         | -? [0-9]{1,12} \. [0-9]{1,3} (?! [0-9] )
			         | %? " (?: [\x20\x21\x23-\x5b\x5d-\x7e] | \\ ["\\] )* "
			         | [A-Za-z*] [A-Za-z0-9!\x23$%&'*+.^_`|~:/-]*
			         | : [A-Za-z0-9+/=]* :
			         | \? [01] )
		)"}) {
		return;
	}
	var.set("targeted", "1");
	var.set("directives", "," + regsuball(beresp.http.CDN-Cache-Control, {""(?:[^"\\]|\\.)*""}, {""""}) + ",");
	var.set("directives", regsuball(var.get("directives"), ";[^,]*", ""));
	var.set("directives", regsuball(var.get("directives"), "[ \t]+", ""));
	# Keep the last of each name, then drop what is false.
	var.set("directives", regsuball(var.get("directives"), ",([a-z*][a-z0-9_.*-]*)(?:=[^,]*)?(?=,(?:[^,]*,)*\1[=,])", ""));
	var.set("directives", regsuball(var.get("directives"), ",[a-z*][a-z0-9_.*-]*=\?0(?=,)", ""));
	if (var.get("directives") == ",") {
		var.set("directives", ",,");
	}
}

# RFC 9111, section 3: stored only with an explicit lifetime; a guess (section 4.2.2) is never made. Two lifetimes are none.
sub panono_general_directives {
	if (beresp.http.Cache-Control !~ {"(?x)
		^[ \t,]* (?&directive) (?: [ \t]* , [ \t,]* (?&directive) )* [ \t,]*$
		(?(DEFINE)
			(?<directive> (?&token) (?: = (?: (?&token) | (?&quoted) ) )? )
			(?<token>     [A-Za-z0-9!\x23$%&'*+.^_`|~-]+ )
			(?<quoted>    " (?: [\t\x20\x21\x23-\x5b\x5d-\x7e] | \\ [\t\x20-\x7e] )* " )
		)"}) {
		return;
	}
	var.set("general", "," + regsuball(std.tolower(beresp.http.Cache-Control), {"="([0-9]+)""}, "=\1") + ",");
	var.set("general", regsuball(var.get("general"), {""(?:[^"\\]|\\.)*""}, {""""}));
	var.set("general", regsuball(var.get("general"), "[ \t]+", ""));
	# Section 3.5: a client sent credentials. The origin has not seen them, and yet has to say that others may have this.
	if (var.get("general") ~ ",(s-maxage|max-age)[=,].*,\1[=,]" ||
	    (var.get("credentials") == "1" && var.get("general") !~ ",(?:public|s-maxage|must-revalidate)[=,]")) {
		return;
	}
	var.set("directives", var.get("general"));
}

# Hit-for-miss: for a while requests for this do not wait for each other. A storable answer ends it at once.
sub panono_do_not_store {
	unset beresp.http.xkey;
	set beresp.uncacheable = true;
	set beresp.ttl = @HIT_FOR_MISS@s;
	set beresp.grace = 0s;
	set beresp.keep = 0s;
	return (deliver);
}

# Is this answer as new as the last purge? If not, ask again, and if that does not help, keep it for a second.
sub panono_freshness {
	var.set("floor", var.global_get("floor"));
	if (var.get("tagged") == "1" && beresp.http.Panono-Sequence !~ "^[0-9]{1,15}$") {
		call panono_short;
	} else if (beresp.http.Panono-Sequence &&
	    std.integer(beresp.http.Panono-Sequence, 0) < std.integer(var.get("floor"), 0)) {
		if (bereq.retries < 3) {
			return (retry);
		}
		call panono_short;
	}
	# A new or restarted edge has no floor yet. Until every living process must have followed the log past what was purged
	# here before, nothing is kept for long.
	if (now - std.real2time(std.real(var.global_get("started"), 0.0), now) < @SETTLE@s) {
		call panono_short;
	}
}

sub panono_short {
	if (beresp.ttl > 1s) {
		set beresp.ttl = 1s;
	}
	set beresp.grace = 0s;
	set beresp.keep = 0s;
	var.set_duration("while_revalidate", 0s);
	var.set_duration("if_error", 0s);
}

# A failure of the origin (a status of 500 and more) on a public page.
sub panono_response_failed {
	if (beresp.status >= 502 && beresp.status <= 504 && bereq.retries < 2) {
		return (retry);
	}
	if (bereq.is_bgfetch) {
		return (abandon);
	}
	if (var.get("have_stale") == "1") {
		# Delivering this answer would remove the stale object; an error without lifetime does not.
		var.set("failed", "1");
		return (error(beresp.status));
	}
	unset beresp.http.Set-Cookie;
	unset beresp.http.xkey;
	set beresp.http.Cache-Control = "no-store";
	# What a failure beyond those that gateways know means, only the origin knows: nobody else is answered with it.
	if (beresp.status > 504) {
		call panono_do_not_store;
	}
	call panono_failed;
	set beresp.ttl = @FAILURE_HOLD@s;
	return (deliver);
}

# The memory of a failure, so that those who waited for this fetch need not fail one after the other. It is found by all
# lookups but those for a stale object, which differ in the header it varies on.
sub panono_failed {
	if (var.get("have_stale") == "1") {
		set beresp.http.Panono-Edge-Failure = "1";
	} else {
		set beresp.http.Panono-Edge-Failure = "0";
	}
	unset beresp.http.Panono-Edge;
	set beresp.http.Vary = "Panono-Stale";
	set beresp.grace = 0s;
	set beresp.keep = 0s;
}

sub vcl_backend_error {
	if (var.get("failed") != "1" && (bereq.method == "GET" || bereq.method == "HEAD") && bereq.retries < 2) {
		return (retry);
	}
	if (bereq.is_bgfetch) {
		return (abandon);
	}
	call panono_error_page;
	if (!bereq.uncacheable) {
		call panono_failed;
		# With a lifetime this would replace the stale object, except when others wait: Varnish has then set one itself.
		if (var.get("have_stale") != "1" || beresp.ttl > 0s) {
			set beresp.ttl = @FAILURE_HOLD@s;
		}
	}
	return (deliver);
}

sub panono_error_page {
	unset beresp.http.Server;
	set beresp.http.Cache-Control = "no-store";
	set beresp.http.Retry-After = "5";
	set beresp.http.X-Content-Type-Options = "nosniff";
	if (bereq.url ~ "^/api/") {
		set beresp.http.Content-Type = "application/problem+json";
		set beresp.body = {"{"code":"edge_origin_failed","title":"The shop does not answer","type":"about:blank","status":"} + beresp.status + {"}
"};
	} else {
		set beresp.http.Content-Type = "text/html; charset=utf-8";
		set beresp.body = {"<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Please try again</title></head>
<body><h1>The shop does not answer</h1><p>Please try again in a few seconds.</p></body></html>
"};
	}
}
