# The smallest shop: a catalogue, pages through the edge, an order, drift, and its end. Part of tests/e2e.sh.
name=demo host=demo.example.com

say "a shop"
sed "s#image: .*panono-shop.*#image: $E2E_SHOP_IMAGE#" manifests/smallest.yaml | k apply -f -
k wait --for=condition=Ready shop/demo --timeout=10m
k get shop -o wide

say "a catalogue"
catalogue 3

say "visitors, through the edge"
forward
imported() { ask /api/v1/catalog/products/e2e-mug | says 'E2E-MUG'; }
until_so 60 "what was imported is there" imported
ask /en | says '<html' || fail "there is no page"
hit() { send GET "$1" -o /dev/null -D - | says -i '^cache-status:.*panono-edge; hit'; }
# What was imported is still being purged.
until_so 60 "the edge stores something" hit /en

say "an order, through the Service"
sale
number=$(order 2) || fail "no order"
ask "/api/v1/catalog/availability?sku=E2E-MUG" | says '1' || fail "what was bought is still there"
echo "order $number"

say "a change of the Shop, and a change by hand"
k patch shop demo --type=merge -p '{"spec":{"web":{"replicas":3},"name":"Another name"}}'
k wait --for=jsonpath='{.status.web.ready}'=3 shop/demo --timeout=5m
ready 300
k delete service demo-web
until_so 5 "a Service that was deleted is made again" k get service demo-web

say "the end"
k delete shop demo --wait
left() { k get all,configmap,secret,serviceaccount,ingress,networkpolicy,poddisruptionbudget,horizontalpodautoscaler,persistentvolumeclaim -l app.kubernetes.io/managed-by=panono-operator -o name 2>/dev/null | sort; }
kept=$'persistentvolumeclaim/demo-media\nsecret/demo-credentials'
gone() { [[ $(left) == "$kept" ]]; }
until_so 120 "nothing is left but what is kept" gone
k get persistentvolumeclaim data-demo-database-0 >/dev/null || fail "the data is gone"
