# A shop with three database members, under faults and changes while somebody buys all the time. Part of tests/e2e.sh.
name=lamps host=lamps.example.com

# The Shop of manifests/highly-available.yaml, as small as a laptop's cluster needs it, with pictures on a volume and without a bucket for backups.
small='{"spec": {
  "payments": {"test": true},
  "web": {"autoscaling": {"minReplicas": 2, "maxReplicas": 3}, "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}}},
  "database": {"managed": {"storage": {"size": "5Gi"}, "bufferPool": "128Mi", "maxConnections": 200,
    "resources": {"requests": {"cpu": "100m", "memory": "768Mi"}, "limits": {"memory": "1280Mi"}}}},
  "cache": {"managed": {"memory": "64Mi"}},
  "edge": {"managed": {"replicas": 2, "memory": "64Mi"}},
  "media": {"bucket": null, "volume": {"size": "1Gi"}}, "backup": null}}'
apply_shop() {
  awk 'BEGIN {RS = "---\n"} /kind: Shop/' manifests/highly-available.yaml | sed "s#image: .*panono-shop.*#image: $E2E_SHOP_IMAGE#" |
    kubectl patch --local -f - --type=merge -p "$small" -o yaml | k apply -f -
}

status() { k get shop "$name" -o jsonpath="{.status.database.$1}"; }
# sql MEMBER STATEMENT, as its agent.
sql() {
  k exec "$name-database-$1" -c mysql -- sh -c 'MYSQL_PWD=$(cat /etc/panono/accounts/agent) exec mysql --no-defaults \
    --user=panono_agent --socket=/run/mysqld/mysqld.sock --batch --skip-column-names --execute="$1"' sh "$2"
}
# agree N: there are so many members, and each of them sees all of them online, with one primary.
agree() {
  local member
  [[ $(k get statefulset "$name-database" -o jsonpath='{.spec.replicas}') == "$1" ]] || return 1
  for ((member = 0; member < $1; member++)); do
    [[ $(sql "$member" "SELECT CONCAT(SUM(MEMBER_STATE = 'ONLINE'), ' ', SUM(MEMBER_ROLE = 'PRIMARY'), ' ', COUNT(*))
      FROM performance_schema.replication_group_members") == "$1 1 $1" ]] || return 1
  done
}
# leads: clients of the Service for writes reach the primary, as the members see it.
leads() {
  local primary
  primary=$(sql 0 "SELECT MEMBER_HOST FROM performance_schema.replication_group_members WHERE MEMBER_ROLE = 'PRIMARY'")
  [[ $(k get endpointslice "$name-db-rw" -o jsonpath='{.endpoints[0].targetRef.name}') == "${primary%%.*}" ]]
}
redundant() { k wait --for=condition=DatabaseRedundant "shop/$name" --timeout=1s; }

# buy: orders, one after the other; each number that was told is noted with the time, in milliseconds.
buy() {
  local number outer=$forward
  while [[ ! -e $work/stop ]]; do
    still_forward
    if number=$(order 1 2>>"$work/refused"); then
      echo "$(date +%s%3N) $number" >>"$work/orders"
    else
      sleep 0.2
    fi
  done
  [[ $forward == "$outer" ]] || kill "$forward"
}
bought() { [[ $(wc -l <"$work/orders") -ge $1 ]]; }
known() { ask "/api/v1/admin/orders/$1" -H "Authorization: Bearer $token" | says "$1"; }
# kept: every order that was acknowledged is there, and what must always be true of stock and money is.
kept() {
  local number
  while read -r _ number; do
    known "$number" || fail "order $number was acknowledged and is lost"
  done <"$1"
  web panono-shop check --invariants
}
# while_buying MEMBERS WHAT COMMAND...: nothing acknowledged is lost by it, and in the end buying goes on with so many members.
while_buying() {
  local members=$1 what=$2 started buyer
  shift 2
  say "$what, while somebody buys"
  rm -f "$work/stop"
  : >"$work/orders" >"$work/refused"
  buy &
  buyer=$!
  until_so 60 "the first orders" bought 10
  started=$SECONDS
  "$@"
  until_so 600 "$members members that agree" agree "$members"
  until_so 120 "the Shop says that all members are there" redundant
  until_so 30 "the Service for writes leads to the primary" leads
  echo "all members were there after $((SECONDS - started)) s"
  until_so 120 "further orders" bought $(($(wc -l <"$work/orders") + 10))
  touch "$work/stop"
  wait "$buyer"
  still_forward
  kept "$work/orders"
  cat "$work/orders" >>"$work/all"
  awk 'NR > 1 && $1 - last > most {most = $1 - last} {last = $1} END {
    print NR " orders, none lost; the longest time between two was " most " ms"}' "$work/orders"
  [[ ! -s $work/refused ]] || { echo "not placed: $(wc -l <"$work/refused")"; tail -3 "$work/refused"; }
}

say "a shop with three database members"
started=$SECONDS
apply_shop
until_so 600 "three members that agree" agree 3
echo "a group after $((SECONDS - started)) s"
ready 600
redundant
echo "Ready after $((SECONDS - started)) s"
k get shop -o wide

say "a catalogue and an order, through the Service"
forward
catalogue 100000
sale
imported() { ask /api/v1/catalog/products/e2e-mug | says 'E2E-MUG'; }
until_so 60 "what was imported is there" imported
number=$(order 2) || fail "no order"
echo "order $number"
until_so 30 "the Service for writes leads to the primary" leads

primary_changes() {
  local before=$1
  until_so 60 "another primary" other "$before"
}
other() { [[ $(status primary) != "$1" ]]; }

delete_primary() {
  local primary
  primary=$(status primary)
  k delete pod "$primary" --wait=false "$@"
  primary_changes "$primary"
}
while_buying 3 "the primary's pod is deleted" delete_primary
while_buying 3 "the primary's pod is killed" delete_primary --grace-period=0 --force
while_buying 3 "all members are killed at once" k delete pod -l "panono.dev/shop=$name,panono.dev/component=database" --grace-period=0 --force

action() {
  k create -f - <<ACTION
{"apiVersion": "panono.dev/v1alpha1", "kind": "ShopAction", "metadata": {"name": "$1"}, "spec": {"shopName": "$name", $2}}
ACTION
  k wait --for=jsonpath='{.status.phase}'=Succeeded "shopaction/$1" --timeout=600s
}
switch_over() {
  local primary target
  primary=$(status primary)
  target=$(((${primary##*-} + 1) % 3))
  action switchover "\"switchover\": {\"to\": $target}"
  [[ $(status primary) == "$name-database-$target" ]] || fail "the primary is $(status primary)"
}
while_buying 3 "a switchover" switch_over

members() { k patch shop "$name" --type=merge -p "{\"spec\": {\"database\": {\"managed\": {\"members\": $1}}}}"; }
while_buying 5 "two members more" members 5
while_buying 3 "two members less" members 3

set_up() {
  k patch shop "$name" --type=merge -p '{"spec": {"database": {"managed": {"group": {"settings": {"long_query_time": "3"}}}}}}'
  until_so 600 "all members have the new setting" has_setting
}
has_setting() {
  local member
  for member in 0 1 2; do
    [[ $(sql "$member" 'SELECT @@GLOBAL.long_query_time = 3') == 1 ]] || return 1
  done
}
while_buying 3 "a setting is changed" set_up

pods() { k get pods -l "panono.dev/shop=$name,panono.dev/component=database" -o jsonpath='{.items[*].metadata.uid}'; }
restart() {
  local before
  before=$(pods)
  action restart '"restart": {"component": "Database"}'
  until_so 600 "all members were replaced" replaced "$before"
}
replaced() {
  local pod
  for pod in $1; do [[ $(pods) != *"$pod"* ]] || return 1; done
}
while_buying 3 "all members are restarted, one by one" restart
ready 300

members_before=$(pods)
while_buying 3 "passwords and certificates are changed" action rotate '"rotateSecrets": {}'
# Edges have new passwords, too: what leads to the pod of one ends with it, which is no answer of the shop.
! grep '"status":' "$work/refused" || fail "a checkout failed while passwords changed"
[[ $(pods) == "$members_before" ]] || fail "members were replaced to change passwords"
ready 300

operators() {
  kubectl -n "$system" scale deployment -l app.kubernetes.io/name=panono-operator --replicas="$1"
}
without_operator() {
  local primary
  primary=$(status primary)
  operators 0
  kubectl -n "$system" wait --for=delete pod -l app.kubernetes.io/name=panono-operator --timeout=60s
  k delete pod "$primary"
  until_so 300 "three members that agree, without an operator" agree 3
  operators 2
}
while_buying 3 "the primary's pod is deleted, and there is no operator" without_operator

# Names are not to be found: what is connected goes on. Only where E2E_DNS says how to do that.
without_dns() {
  local before
  before=$(pods)
  $E2E_DNS off
  until_so 120 "orders without names" bought $(($(wc -l <"$work/orders") + 30))
  $E2E_DNS on
  [[ $(pods) == "$before" ]] || fail "members were replaced"
}
if [[ -n ${E2E_DNS:-} ]]; then
  while_buying 3 "the cluster's DNS is gone" without_dns
fi

say "the Shop is deleted, and made again"
started=$SECONDS
k delete shop "$name" --wait
no_pods() { [[ -z $(k get pods -l "panono.dev/shop=$name" -o name) ]]; }
until_so 300 "all pods are gone" no_pods
echo "all pods were gone after $((SECONDS - started)) s"
started=$SECONDS
apply_shop
until_so 600 "three members that agree" agree 3
ready 600
echo "Ready after $((SECONDS - started)) s"
forward
kept "$work/all"
number=$(order 1) || fail "no order"
echo "$(wc -l <"$work/all") orders are there, and order $number"
