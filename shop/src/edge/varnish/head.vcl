vcl 4.1;

# The edge of a Panono shop, rendered by `panono-shop edge-config`. Do not edit: headers and VCL of one release belong together.
# What it does and why is described in docs/edge.md. It needs Varnish 7 with varnish-modules (header, var, vsthrottle, xkey).
#
# Header names of this file's own: `Panono-Edge-*` on stored answers, `Panono-*` on requests. A client's are dropped on arrival.

import std;
import directors;
import header;
import var;
import vsthrottle;
import xkey;

@PROBE@
@BACKENDS@
acl purgers {
@PURGERS@
}

acl trusted_proxies {
@TRUSTED_PROXIES@
}

sub vcl_init {
@DIRECTOR@
	# Globals live as long as the worker process, not as long as one VCL: a reload keeps them, a crash loses them and the
	# whole cache with them.
	if (!var.global_get("started") || var.global_get("started") == "") {
		var.global_set("started", "" + std.real(time=now));
		var.global_set("floor", "0");
	}
}
