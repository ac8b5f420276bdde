#!/bin/sh
# What scripts/test-systemd.sh does on the machine that systemd runs: `test-systemd-inside.sh PART`. Site `office` has a gateway that
# runs as root, `desk` one with an account of its own; the rest of the grid is there, too, as docs/install.md has it.
set -u
groups=/sys/fs/cgroup
marks=/var/tmp/marks
mkdir -p $marks && chmod 1777 $marks
cd /home

fail() {
  echo "FAIL  $*"
  journalctl --no-pager -o short-precise -n 40 -u 'hanse-site-*' | cut -c1-400
  journalctl --no-pager -o short-precise -n 15 -u hanse-broker -u init.scope | cut -c1-400
  exit 1
}
# `see WHAT TEXT`: waits until the shell text succeeds, for at most a minute and a half.
see() {
  last=$(($(date +%s) + 90))
  until said=$(eval "$2" 2>&1); do
    [ "$(date +%s)" -lt $last ] || fail "$1: $2: $said"
    sleep 0.3
  done
  echo "ok    $1"
}
# `must WHAT COMMAND...`: succeeds at once.
must() {
  what=$1
  shift
  said=$("$@" 2>&1) || fail "$what: $*: $said"
  echo "ok    $what"
}
# `says TEXT COMMAND...`
says() {
  text=$1
  shift
  "$@" 2>&1 | grep -q "$text"
}
ada() { runuser -u ada -- env HOME=/home/ada HANSE_BROKER=broker.example.org:7450 grid "$@"; }
# Root, with the certificate of the grid's administrator.
admin() { env HANSE_HOME=/home/ada/.hanse HANSE_BROKER=broker.example.org:7450 grid "$@"; }
hanse() { runuser -u hanse -- grid "$@"; }
submit() { ada --quiet submit -m 64M "$@" || fail "submit $*"; }
# `ends ID STATE WHAT`
ends() {
  ada wait --timeout 90s "$1" >/dev/null 2>&1
  said=$(ada status "$1" --json)
  echo "$said" | grep -q "\"state\": *\"$2\"" || fail "$3: $said"
  echo "ok    $3"
}
unit_of() { echo "hanse-site-$1.service"; }
main_pid() { systemctl show -P MainPID "$(unit_of "$1")"; }
# What the gateway of a site that runs now has logged.
logged() { journalctl --no-pager -o cat "_PID=$(main_pid "$1")"; }
# Whether a gateway can have control groups with limits: in trees of version 1 systemd gives an account none of them.
has_groups() {
  [ -e $groups/cgroup.procs ] || { [ "$1" = office ] && return; }
  [ -e $groups/cgroup.procs ] && grep -q memory.*pids $groups/cgroup.controllers
}
# The directories of a unit in all trees.
groups_of() { find $groups -maxdepth 3 -path "*/system.slice/$(unit_of "$1")" -type d 2>/dev/null; }
pids_in() { find $(groups_of "$1") -name cgroup.procs -exec cat {} + 2>/dev/null | sort -un; }

# The units that docs/install.md shows for the broker and its kin.
service() {
  sed -n '/^    # hanse-broker.service$/,/^$/s/^    //p' /opt/hanse/docs/install.md |
    sed "s|^ExecStart=.*|ExecStart=$2|" >"/etc/systemd/system/hanse-$1.service"
  grep -q '^Restart=' "/etc/systemd/system/hanse-$1.service" || fail 'docs/install.md shows no unit'
  must "hanse-$1 starts" systemctl enable --quiet --now "hanse-$1"
}

the_grid() {
  for host in ca broker office desk pc taken; do echo "127.0.0.1 $host.example.org"; done >>/etc/hosts
  useradd --system --create-home --home-dir /srv/hanse hanse
  useradd --system --create-home grid
  useradd --create-home ada
  mkdir -p /etc/hanse/ca /etc/hanse/broker
  chown hanse: /etc/hanse/*
  token=$(hanse ca init /srv/hanse/ca --name '/DC=org/DC=example/CN=Example Grid CA' --listen 127.0.0.1:7440 --public ca.example.org:7440 --admin 'Ada Lovelace' 2>&1 | sed -n 's/.*--token //p')
  service authority '/usr/local/bin/grid authority serve --config /srv/hanse/ca/authority.yaml'
  see 'the authority gives its administrator a certificate' "ada cert request --token $token"
  must 'a VO' ada vo create biomed
  must 'a proxy' ada login --vo biomed
  for host in ca broker; do
    token=$(ada --quiet ca token --profile host --name $host.example.org)
    must "a host certificate for the $host" hanse cert request --token "$token" --out /etc/hanse/$host
    must 'what to trust' hanse ca trust --authority ca.example.org:7440 --dir /etc/hanse/$host/certificates --vomsdir /etc/hanse/$host/vomsdir
  done
  must 'the configuration of nats-server' hanse nats init /srv/hanse/nats --listen 0.0.0.0:4222 --certificate /etc/hanse/ca/hostcert.pem --key /etc/hanse/ca/hostkey.pem
  cp -a /srv/hanse/nats/broker /etc/hanse/broker/nats
  service nats '/usr/local/bin/nats-server -c /srv/hanse/nats/nats-server.conf'
  cat >/etc/hanse/broker/broker.yaml <<END
listen: 0.0.0.0:7450
certificate: hostcert.pem
key: hostkey.pem
trust: certificates
vomsdir: vomsdir
state: /srv/hanse/broker
vos: [biomed]
admins: ['/DC=org/DC=example/OU=People/CN=Ada Lovelace']
staging: {servers: ['tls://ca.example.org:4222'], keys: nats}
END
  service broker '/usr/local/bin/grid broker serve --config /etc/hanse/broker/broker.yaml'
  see 'the broker answers' 'ada sites'
}

# `enrol SITE PORT WORDS...`
enrol() {
  site=$1 unit=$(unit_of "$1")
  command=$(ada --quiet site invite "$1" --host "$1.example.org" --port "$2") || fail "invite $1"
  shift 2
  must "$site: grid site enrol $*" $command "$@"
  must "$site: its unit is enabled and active" systemctl --quiet is-enabled "$unit" && systemctl --quiet is-active "$unit"
  how=without
  has_groups "$site" && how=in
  see "$site: tasks run $how control groups" "logged $site | grep -q 'tasks run $how control groups'"
}

# A unit whose gateway cannot serve, because somebody has its port.
taken() {
  command=$(ada --quiet site invite taken --host taken.example.org --port 4222)
  said=$($command --lrms fork 2>&1) && fail "enrolled at a port that was taken: $said"
  must 'grid site enrol shows what the gateway says of a port that is taken' says 'cannot listen at .*4222' echo "$said"
  must 'so does the journal, among what is wrong' says 'cannot listen at' journalctl --no-pager -o cat -p err -u hanse-site-taken
  must 'grid site leave --force' admin site leave taken --force
}

# `tasks SITE USER`: what holds a task, and what it leaves.
tasks() {
  site=$1 user=$2
  first=$(submit --site "$site" -- sh -c 'id -un; touch /usr/x /etc/x; touch x && echo wrote; cat /proc/self/cgroup')
  over=$(submit --site "$site" -- sh -c 'x=$(head -c 100000000 /dev/zero | tr "\0" x); sleep 20')
  late=$(submit --site "$site" --walltime 3s -- sh -c "trap '' TERM; setsid sleep 4711 & sleep 4712; sleep 4712")
  left=$(submit --site "$site" -- sh -c 'setsid sleep 4713 & (setsid sh -c "sleep 4713 &" &); nohup sleep 4713 >/dev/null 2>&1 & exit 0')
  ends "$first" done "$site: a job comes to its end"
  see "$site: it ran as $user" "ada logs $first >$marks/said && grep -qx $user $marks/said"
  must "$site: it could write to its own directory and to no other" sh -c "grep -qx wrote $marks/said && ! test -e /usr/x && ! test -e /etc/x"
  ! has_groups "$site" || must "$site: it had a group of its own below the unit" grep -q "memory:/system.slice/hanse-site-$site.service/hanse-.*/$first\|^0::/system.slice/hanse-site-$site.service/hanse-.*/$first" $marks/said
  ends "$over" failed "$site: a job that wants too much memory fails"
  must "$site: for that reason" says MEMORY_EXCEEDED ada status "$over" --json
  ends "$late" failed "$site: a job that ignores TERM and wants too much time fails"
  must "$site: for that reason" says WALLTIME_EXCEEDED ada status "$late" --json
  ends "$left" done "$site: a job that leaves processes behind comes to its end"
  see "$site: nothing of any of them is left" "! grep -laE '^sleep.471[123]' /proc/[0-9]*/cmdline && ! find $(groups_of "$site" | tr '\n' ' ') -mindepth 2 -type d -name 'j*' | grep ."
}

# `survives SITE NAME COMMAND`: a task that runs while the gateway is started again.
survives() {
  site=$1 mark=$marks/$1-$2 since=$(date '+%F %T')
  rm -f "$mark" "$mark.go"
  job=$(submit --site "$site" -- sh -c "echo begun >>$mark; until test -e $mark.go; do sleep 0.3; done; echo ended >>$mark")
  see "$site: a task runs before the gateway is $2" "test -e $mark"
  pid=$(main_pid "$site")
  began=$(date +%s)
  must "$site: $3" sh -c "$3"
  see "$site: another gateway serves" "test \$(main_pid $site) -gt 0 && test \$(main_pid $site) != $pid && logged $site | grep -q '\"ready\":true'"
  took=$(($(date +%s) - began))
  ! has_groups "$site" || must "$site: and tasks run in control groups" sh -c "journalctl --no-pager -o cat _PID=$(main_pid "$site") | grep -q 'tasks run in control groups'"
  ! has_groups "$site" || must "$site: the task has its limit" grep -qrx 67108864 $(find $(groups_of "$site") -path "*/$job.*" \( -name memory.max -o -name memory.limit_in_bytes \))
  touch "$mark.go"
  ends "$job" done "$site: the task comes to its end ($took s)"
  must "$site: having run once" test "$(tr -d '\n' <"$mark")" = begunended
  ! journalctl --no-pager -o cat --since "$since" -u "$(unit_of "$site")" | grep -q 'timed out\|SIGKILL' || fail "$site: systemd killed it"
}

life() {
  site=$1 unit=$(unit_of "$1")
  # What is left where the gateway stood is in nobody's way.
  [ ! -e $groups/cgroup.procs ] || sh -c "echo 0 >$(groups_of "$site")/gateway/cgroup.procs; exec sleep 4715" &
  survives "$site" restarted "systemctl restart $unit"
  survives "$site" killed "kill -KILL $(main_pid "$site")"
  survives "$site" stopped "timeout 5 systemctl stop $unit && sleep 1 && systemctl start $unit"
}

drained() {
  must 'grid site drain' ada site drain "$1" --wait
  job=$(submit --site "$1" -- true)
  see 'a job waits for a site that drains' "ada why $job | grep -q draining"
  must 'grid site resume' ada site resume "$1"
  ends "$job" done 'and runs when that has resumed'
  must 'grid site test' ada site test "$1"
}

# An image of a shell and what it needs, in the store of root.
image() {
  fault=$(logged office | grep '"runtime":"podman"') && fail "podman of root does not work under the unit: $fault"
  tar -c -C / bin lib lib64 usr/bin/dash usr/lib/x86_64-linux-gnu/libc.so.6 usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 usr/lib64 |
    podman import --quiet - localhost/shell:1 >/dev/null || fail 'podman import'
  job=$(submit --site office --image localhost/shell:1 -- /usr/bin/dash -c 'echo in an image >out; read -r line <out; echo "$line"')
  ends "$job" done 'a job in an image comes to its end'
  must 'it said so' test "$(ada logs "$job")" = 'in an image'
}

# What the journal has of all services: lines that can be read, each with its priority.
journal() {
  must 'each line of a gateway is a JSON object' test -z "$(logged office | grep -v '^{.*}$')"
  must 'the broker has warned of what was started again' says '"level":40' journalctl --no-pager -o cat -u hanse-broker -p warning
  must 'and the warnings stand alone' test -z "$(journalctl --no-pager -o cat -u hanse-broker -p warning | grep '"level":30')"
}

# Jobs that run when the machine ends: `begin NAME`.
begin() {
  for site in office desk; do
    submit --site $site -- sh -c "echo begun >>$marks/$1-$site; sleep 8; echo ended >>$marks/$1-$site" >$marks/$1-$site.job
    see "$site: a job runs when the machine ends" "grep -q begun $marks/$1-$site"
  done
  sync
}

begun_again() {
  see 'the broker is there by itself' 'ada sites'
  for site in office desk; do
    job=$(cat $marks/$1-$site.job)
    must "$site: the gateway runs by itself" systemctl --quiet is-active "$(unit_of $site)"
    ends "$job" done "$site: the job that the end of the machine interrupted comes to its end"
    must "$site: it ran again" test "$(tr -d '\n' <$marks/$1-$site)" = begunbegunended
    see "$site: the first try is counted as lost by the site" "ada job events $job | grep -q 'TASK_VANISHED.*$2'"
  done
  must 'no unit has failed' sh -c '! systemctl --failed --no-legend | grep .'
}

# The rest of the grid: each ends at once when told to, begins again by itself, and loses nothing.
services() {
  job=$(submit --site office -- sh -c "until test -e $marks/services; do sleep 0.3; done")
  see 'a job runs' "ada status $job | grep -q running"
  for one in nats authority broker; do
    before=$(systemctl show -P MainPID hanse-$one)
    must "hanse-$one: kill -9" kill -KILL "$before"
    see "hanse-$one begins again by itself" "test \$(systemctl show -P MainPID hanse-$one) != $before && systemctl --quiet is-active hanse-$one"
    for after in 0.2 0.4 0.6 1; do
      systemctl restart hanse-$one
      sleep $after
      must "hanse-$one: systemctl stop $after s after its start, within five seconds" timeout 5 systemctl stop hanse-$one
    done
    must "hanse-$one has ended well" test "$(systemctl show -P Result hanse-$one)" = success
    must "hanse-$one: systemctl start" systemctl start hanse-$one
  done
  see 'the broker answers again' 'ada sites'
  touch $marks/services
  ends "$job" done 'the job comes to its end'
  see 'the authority answers again' 'ada ca ls'
}

# A desktop that says to logind whether somebody uses it.
owner() {
  useradd --create-home olga
  enrol pc 7462 --owner --account grid
  sed -i 's/^owner: .*/owner: {idle-after: 5s, resume-after: 5s, load: 1}/' /etc/hanse/pc/site.yaml
  must 'the owner has rules' systemctl restart hanse-site-pc
  XDG_SESSION_TYPE=x11 XDG_SESSION_CLASS=user setsid su - olga -w XDG_SESSION_TYPE,XDG_SESSION_CLASS -c 'sleep 600' >/dev/null 2>&1 &
  see 'logind has a session of the owner' "loginctl list-sessions --no-legend | grep olga"
  session=$(echo "$said" | awk '{ print $1 }')
  # The session is in the list before the directory is made.
  see 'it is a desktop, with /run/user' "test \$(loginctl show-session -P Type $session) = x11 && test -d /run/user/$(id -u olga)"
  hint() { must "the desktop: idle $1" runuser -u olga -- busctl call org.freedesktop.login1 "/org/freedesktop/login1/session/$session" org.freedesktop.login1.Session SetIdleHint b "$1"; }
  hint true
  job=$(submit --site pc -- sh -c "echo begun >$marks/owner; until test -e $marks/owner.go; do sleep 0.3; done")
  see 'a job runs while nobody is there' "test -e $marks/owner"
  hint false
  see 'the site closes when somebody is' "ada sites 2>&1 | grep -q 'its owner is at the machine'"
  see 'the job stands still' "ada status $job | grep -q suspended"
  must 'so does its process' sh -c "ps -eo stat,args | grep -q '^T.*$marks/[o]wner'"
  touch $marks/owner.go
  hint true
  ends "$job" done 'it goes on and ends when nobody is'
  must 'grid site leave' admin site leave pc
}

# A map of accounts: the gateway of root runs each task as another one.
mapped() {
  useradd --create-home mia
  cp /etc/hanse/office/site.yaml $marks/site.yaml
  echo "accounts: [{dn: '*/CN=Ada Lovelace', account: mia}]" >>/etc/hanse/office/site.yaml
  must 'office: tasks run as accounts of their own' systemctl restart hanse-site-office
  see 'office: it serves' "logged office | grep -q '\"ready\":true'"
  job=$(submit --site office -- sh -c 'id -un; cat /etc/hanse/office/hostkey.pem; exit 0')
  over=$(submit --site office -- sh -c 'x=$(head -c 100000000 /dev/zero | tr "\0" x); sleep 20')
  ends "$job" done 'office: a job comes to its end'
  must 'office: as the account of the map' test "$(ada logs "$job" 2>/dev/null)" = mia
  ends "$over" failed 'office: a job that wants too much memory fails'
  cp $marks/site.yaml /etc/hanse/office/site.yaml
  must 'office: tasks run as the gateway again' systemctl restart hanse-site-office
}

# The gateway of root gets an account, but not while it has tasks that this could not end.
account() {
  job=$(submit --site office -- sh -c "until test -e $marks/account; do sleep 0.3; done")
  see 'office: a job runs' "ada status $job | grep -q running"
  command=$(ada --quiet site invite office --host office.example.org --port 7460)
  said=$($command --account grid 2>&1) && fail "it got another account: $said"
  must 'office: no account for its gateway while root has a task' says 'a task .*account root, which grid could not end' echo "$said"
  touch $marks/account
  ends "$job" done 'office: the job comes to its end'
  must 'office: then it gets one' $command --account grid
  job=$(submit --site office -- id -un)
  ends "$job" done 'office: a job comes to its end'
  must 'office: as this account' test "$(ada logs "$job")" = grid
}

# `gone SITE`: what `grid site leave` has to leave of a unit.
gone() {
  must "$1: it has no unit any more" sh -c "! ls /etc/systemd/system/hanse-site-$1* /etc/systemd/system/*/hanse-site-$1* 2>/dev/null"
  see "$1: no process and no control group of it is left" "test -z \"\$(groups_of $1)\$(pids_in $1)\""
  see "$1: its certificate is revoked" "ada ca ls | grep -q 'revoked.*CN=$1.example.org'"
}

first() {
  the_grid
  enrol office 7460 --lrms fork
  enrol desk 7461 --lrms fork --account grid
  taken
  for site in office desk; do
    user=root
    [ $site = office ] || user=grid
    tasks $site $user
    life $site
  done
  image
  drained office
  journal
  services
  begin cut
}

after() {
  case $1 in
    cut) begun_again cut 'its processes are gone' && begin reboot ;;
    reboot) begun_again reboot 'the machine was shut down' ;;
  esac
}

last() {
  owner
  mapped
  account
  must 'office: grid site leave' admin site leave office
  gone office
  job=$(submit --site desk -- sleep 4714)
  see 'desk: a task runs' "grep -qlaE '^sleep.4714' /proc/[0-9]*/cmdline"
  must 'desk: grid site leave --force' admin site leave desk --force
  gone desk
  must 'desk: nor its task' sh -c "! grep -laE '^sleep.4714' /proc/[0-9]*/cmdline"
  must 'grid cancel' ada cancel "$job" # it would begin again where a site has this name
  must 'no unit has failed' sh -c '! systemctl --failed --no-legend | grep .'
}

# One tree of version 2 for all. The process that podman of an account keeps is in the way of a gateway that shares it out.
unified() {
  see 'the broker is there by itself' 'ada sites'
  rm -rf /etc/hanse/desk /var/lib/hanse/desk
  enrol desk 7461 --lrms fork --account grid
  must 'its group was given to its account' test "$(stat -c %U "$(groups_of desk)/cgroup.subtree_control")" = grid
  see 'podman has left a process, which is out of the way' "grep -q . $(groups_of desk)/others/cgroup.procs && grep -q . $(groups_of desk)/gateway/cgroup.procs"
  tasks desk grid
  life desk
  must 'nothing was in its way' sh -c '! journalctl --no-pager -b -o cat -u hanse-site-desk | grep -q "has other processes"'
  must 'desk: grid site leave' admin site leave desk
  gone desk
}

"$@"
