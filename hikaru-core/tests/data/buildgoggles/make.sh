#!/usr/bin/env bash
#
# Makes tags.tsv again: installs buildgoggles from npm into a temporary folder,
# builds real git repositories there (fixed names and dates, so the commit
# hashes are always the same), runs buildgoggles on each and writes down the
# tags found in its .buildinfo.json. See README.md.
#
# usage: make.sh [output file]        default: tags.tsv beside this script
#
# needs: bash 4.4, coreutils, grep, sed, git 2.29, node, npm

set -euo pipefail

readonly BUILDGOGGLES_VERSION=1.0.0
readonly ALL=o_r_b_v_c_s # what buildgoggles does when no format is given
readonly TIME_LIMIT=10   # seconds; it may never end where it finds no version file

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
readonly here
out=${1:-$here/tags.tsv}

tmp=$(mktemp -d)
tmp=$(cd -- "$tmp" && pwd -P)
readonly tmp
trap 'rm -rf -- "$tmp"' EXIT
if [[ ! $tmp =~ ^[A-Za-z0-9_./-]+$ ]]; then
  # buildgoggles puts the path into a shell command without quotes
  echo "make.sh: the temporary folder's path must need no quotes in a shell: $tmp" >&2
  exit 1
fi

mkdir "$tmp/tool" "$tmp/work" "$tmp/home" "$tmp/empty"

echo "installing buildgoggles@$BUILDGOGGLES_VERSION" >&2
npm install --prefix "$tmp/tool" --no-audit --no-fund --loglevel=error \
  "buildgoggles@$BUILDGOGGLES_VERSION" >&2
readonly buildgoggles=$tmp/tool/node_modules/buildgoggles/bin/buildgoggles
node=$(node -p process.execPath)
readonly node

# Everything below runs with these variables and no others: nobody's git
# configuration, no CI service's variables, no translated messages.
# The ceiling keeps git from finding a repository above the temporary folder.
readonly -a clean_env=(
  env -i
  "PATH=$PATH"
  "HOME=$tmp/home"
  LC_ALL=C
  TZ=UTC
  GIT_CONFIG_NOSYSTEM=1
  "GIT_CEILING_DIRECTORIES=$tmp/work"
)

clock=0

run_git() {
  "${clean_env[@]}" \
    GIT_AUTHOR_NAME=Hikari GIT_AUTHOR_EMAIL=hikari@example.com \
    GIT_COMMITTER_NAME=Hikari GIT_COMMITTER_EMAIL=hikari@example.com \
    "GIT_AUTHOR_DATE=$clock +0000" "GIT_COMMITTER_DATE=$clock +0000" \
    git "$@"
}

# new_repo FOLDER BRANCH [URL]: an empty repository, `origin` set when URL is given
new_repo() {
  clock=1700000000
  run_git init -q --object-format=sha1 -b "$2" "$tmp/work/$1"
  if (($# > 2)); then
    run_git -C "$tmp/work/$1" remote add origin "$3"
  fi
}

# package_json FOLDER VERSION
package_json() {
  printf '{\n  "name": "web",\n  "version": "%s"\n}\n' "$2" >"$tmp/work/$1/package.json"
}

# commit FOLDER MESSAGE: all that is in the folder, a minute after the commit before
commit() {
  clock=$((clock + 60))
  run_git -C "$tmp/work/$1" add --all
  run_git -C "$tmp/work/$1" commit -q --allow-empty -m "$2"
}

# web_repo FOLDER BRANCH [URL]: 1.3.0, then 1.4.0 and two more commits: build 3
web_repo() {
  new_repo "$@"
  package_json "$1" 1.3.0
  commit "$1" "feat: first page"
  package_json "$1" 1.4.0
  commit "$1" "release: 1.4.0"
  commit "$1" "fix: a link"
  commit "$1" "fix: another link"
}

note() {
  printf '#%s\n' "${*:+ $*}"
}

# message FILE: the first error named in it, without the temporary folder's path.
# When a version file cannot be read, it is a race whether buildgoggles catches
# its own error ("Could not get build information due to ...", exit status 0) or
# node does (a stack, exit status 1); what is the same in both is kept. Where there
# is no version file, it never ends in the first case: hence the time limit.
message() {
  sed -n -e "s|$tmp/work|<folder>|g" -e "s|$tmp|<tmp>|g" \
    -e 's/^Could not get build information due to //' -e '/^[A-Za-z]*Error/{p;q;}' -- "$1"
}

# run CASE FORMATS OWNER REPO BRANCH FOLDER [NAME=VALUE...]
# FORMATS as for --tag (several with commas); the variables are set for
# buildgoggles. Prints a line for each tag, or a comment with what it said.
run() {
  local name=$1 formats=$2 owner=$3 repo=$4 branch=$5 folder=$6
  shift 6
  local info=$tmp/work/$folder/.buildinfo.json status=0
  echo "case $name ($formats)" >&2
  "${clean_env[@]}" "$@" \
    "$(command -v timeout)" "$TIME_LIMIT" \
    "$node" "$buildgoggles" "$tmp/work/$folder" "--tag=$formats" \
    >"$tmp/stdout" 2>"$tmp/stderr" || status=$?
  if [[ ! -e $info ]]; then
    local said
    said=$(message "$tmp/stderr")
    if [[ -z $said ]]; then
      echo "make.sh: case $name: no file and no error, exit status $status" >&2
      exit 1
    fi
    note "$name ($formats): wrote no file; it printed: $said"
    return
  fi
  # shellcheck disable=SC2016 # the ${} are JavaScript's
  "$node" -e '
    const [, file, status, formats, ...columns] = process.argv
    const specs = formats.split(",")
    const tag = JSON.parse(require("fs").readFileSync(file)).tag
    const tags = Array.isArray(tag) ? tag : [tag]
    if (status !== "0") throw new Error(`a file, but exit status ${status}`)
    if (tags.length !== specs.length) throw new Error("not a tag for each format")
    tags.forEach((tag, i) => {
      if (typeof tag !== "string" || /[\t\r\n]/.test(tag)) throw new Error(`tag: ${JSON.stringify(tag)}`)
      const [name, ...rest] = columns
      console.log([name, specs[i], ...rest, tag].join("\t"))
    })
  ' "$info" "$status" "$formats" "$name" "$owner" "$repo" "$branch"
  rm -- "$info"
}

# remote CASE URL OWNER REPO: the same history, another remote
remote() {
  run_git -C "$tmp/work/urls" remote set-url origin "$2"
  note "$1: $2"
  run "$1" "$ALL" "$3" "$4" main urls
}

# mine FOLDER REGEX: adds the first commit "chore: try N" whose hash matches
mine() {
  local dir=$tmp/work/$1 tree parent hash n=0
  clock=$((clock + 60))
  tree=$(run_git -C "$dir" rev-parse 'HEAD^{tree}')
  parent=$(run_git -C "$dir" rev-parse HEAD)
  while :; do
    n=$((n + 1))
    hash=$(run_git -C "$dir" commit-tree -p "$parent" -m "chore: try $n" "$tree")
    if [[ $hash =~ $2 ]]; then
      break
    fi
  done
  run_git -C "$dir" update-ref HEAD "$hash"
}

cases() {
  local f

  note "What buildgoggles $BUILDGOGGLES_VERSION wrote as tags, made by make.sh; see README.md."
  note "Columns, with tabs between: case, format, owner, repository, branch, tag."
  note "Owner, repository and branch are what the remote and git really have; - where"
  note "there is none. The tag is as in .buildinfo.json, also where it is wrong; it may"
  note "be empty. With several formats at once each tag has its own line."
  note
  note "-- plain: the version came with the second commit, two commits after it, then one more"
  web_repo plain main https://github.com/acme/web.git
  run plain "$ALL" acme web main plain
  commit plain "feat: a form"
  run plain-next "$ALL" acme web main plain
  clock=$((clock + 60))
  run_git -C "$tmp/work/plain" commit -q --amend --allow-empty -m "feat: a better form"
  note "plain-amended: the commit of plain-next, amended"
  run plain-amended "$ALL" acme web main plain
  package_json plain 1.4.1
  note "version-not-committed: package.json says 1.4.1, but no commit has it yet"
  run version-not-committed "$ALL" acme web main plain
  commit plain "release: 1.4.1"
  note "version-new: the commit which brings 1.4.1"
  run version-new "$ALL" acme web main plain
  package_json plain 1.4.0
  commit plain "revert: 1.4.1"
  note "version-back: the next commit goes back to 1.4.0, the sixth with or since the first 1.4.0"
  run version-back "$ALL" acme web main plain
  web_repo skew main https://github.com/acme/web.git
  clock=$((clock - 3600))
  commit skew "fix: from a machine whose clock is an hour behind"
  note "clock-behind: the fourth commit of 1.4.0, dated before the first; then a fifth with the right date"
  run clock-behind "$ALL" acme web main skew
  clock=$((clock + 3600))
  commit skew "fix: from a machine whose clock is right"
  run clock-right "$ALL" acme web main skew

  note
  note "-- names with underscores, slashes, dashes, dots"
  web_repo under-branch fix_login_form https://github.com/acme/web.git
  run underscore-branch "$ALL" acme web fix_login_form under-branch
  web_repo under-repo main https://github.com/acme/web_shop.git
  run underscore-repo "$ALL" acme web_shop main under-repo
  web_repo under-owner main https://gitlab.com/acme_corp/web.git
  run underscore-owner "$ALL" acme_corp web main under-owner
  web_repo under-all fix_login_form https://gitlab.com/acme_corp/web_shop.git
  run underscore-all "$ALL" acme_corp web_shop fix_login_form under-all
  web_repo under-number release_1.4.0_3 https://github.com/acme/web.git
  run underscore-branch-like-a-version "$ALL" acme web release_1.4.0_3 under-number
  web_repo slash feature/x https://github.com/acme/web.git
  run slash-branch "$ALL,b_v_c" acme web feature/x slash
  web_repo dash fix-1.4.x https://github.com/acme-inc/web.site.git
  run dash-dot "$ALL" acme-inc web.site fix-1.4.x dash

  note
  note "-- shallow clones: the oldest commit in the clone seems to bring the version,"
  note "   so the build number stays at the clone's depth; full-*: the same commit, not shallow"
  web_repo origin main https://github.com/acme/web.git
  for f in first second; do
    run_git clone -q --depth 1 "file://$tmp/work/origin" "$tmp/work/depth-1-$f"
    run_git -C "$tmp/work/depth-1-$f" remote set-url origin https://github.com/acme/web.git
    run "shallow-depth-1-$f" "$ALL" acme web main "depth-1-$f"
    run_git clone -q --depth 2 "file://$tmp/work/origin" "$tmp/work/depth-2-$f"
    run_git -C "$tmp/work/depth-2-$f" remote set-url origin https://github.com/acme/web.git
    run "shallow-depth-2-$f" "$ALL" acme web main "depth-2-$f"
    run "full-$f" "$ALL" acme web main origin
    commit origin "fix: after the first clone"
  done

  note
  note "-- no branch: a detached checkout, as most CI services make"
  web_repo detached main https://github.com/acme/web.git
  run_git -C "$tmp/work/detached" checkout -q --detach HEAD~1
  run detached "$ALL,b_v_c" acme web HEAD detached

  note
  note "-- other versions than three numbers, other files than package.json"
  new_repo dotnet main https://github.com/acme/service.git
  mkdir "$tmp/work/dotnet/Properties"
  printf 'using System.Reflection;\n\n[assembly: AssemblyTitle("service")]\n[assembly: AssemblyVersion("1.0.0.0")]\n' \
    >"$tmp/work/dotnet/Properties/AssemblyInfo.cs"
  commit dotnet "feat: first"
  commit dotnet "feat: second"
  note "dotnet-4-parts: AssemblyVersion(\"1.0.0.0\")"
  run dotnet-4-parts "$ALL,miv,ma_mi_p" acme service main dotnet
  printf '[assembly: AssemblyVersion("1.0.*")]\n' >"$tmp/work/dotnet/Properties/AssemblyInfo.cs"
  commit dotnet "build: let the compiler count"
  note "dotnet-star: AssemblyVersion(\"1.0.*\")"
  run dotnet-star "$ALL" acme service main dotnet

  new_repo erlang main https://github.com/acme/queue.git
  mkdir "$tmp/work/erlang/src"
  printf '{application, queue, [\n  {vsn, "2.0.1"}\n]}.\n' >"$tmp/work/erlang/src/queue.app.src"
  commit erlang "feat: first"
  commit erlang "feat: second"
  note "erlang: {vsn, \"2.0.1\"}"
  run erlang "$ALL" acme queue main erlang

  web_repo prerelease main https://github.com/acme/web.git
  package_json prerelease 1.5.0-rc.1
  commit prerelease "release: 1.5.0-rc.1"
  commit prerelease "fix: for the next candidate"
  note "prerelease-first: \"version\": \"1.5.0-rc.1\", one commit after it"
  run prerelease-first "$ALL" acme web main prerelease
  commit prerelease "fix: one more"
  note "prerelease-next: one more commit"
  run prerelease-next "$ALL" acme web main prerelease
  package_json prerelease 1.5.0-rc.2
  commit prerelease "release: 1.5.0-rc.2"
  note "prerelease-rc2: \"version\": \"1.5.0-rc.2\""
  run prerelease-rc2 "$ALL" acme web main prerelease

  new_repo metadata main https://github.com/acme/web.git
  package_json metadata 1.5.0+linux
  commit metadata "release: 1.5.0+linux"
  note "build-metadata: \"version\": \"1.5.0+linux\""
  run build-metadata "$ALL" acme web main metadata

  new_repo two-parts main https://github.com/acme/web.git
  package_json two-parts 1.5
  commit two-parts "release: 1.5"
  note "two-parts: \"version\": \"1.5\""
  run two-parts "$ALL,ma_mi_p" acme web main two-parts

  note
  note "-- no version: an error, and the exit status may be 0 all the same (a race);"
  note "   without a version file it may also never end"
  new_repo no-version-file main https://github.com/acme/tool.git
  printf '[package]\nname = "tool"\nversion = "1.0.0"\n' >"$tmp/work/no-version-file/Cargo.toml"
  commit no-version-file "feat: first"
  run no-version-file "$ALL" acme tool main no-version-file
  new_repo no-version main https://github.com/acme/web.git
  printf '{ "name": "web", "private": true }\n' >"$tmp/work/no-version/package.json"
  commit no-version "feat: first"
  run no-version-in-package-json "$ALL" acme web main no-version
  new_repo bad-json main https://github.com/acme/web.git
  printf '{ "version": "1.4.0", }\n' >"$tmp/work/bad-json/package.json"
  commit bad-json "feat: first"
  run bad-package-json "$ALL" acme web main bad-json
  run no-folder "$ALL" - - - no-such-folder

  note
  note "-- git fails"
  new_repo no-commits main https://github.com/acme/web.git
  package_json no-commits 1.4.0
  note "no-commits: git init, no commit yet"
  run no-commits "$ALL,v_c_s,b_v_c,v,s,miv" acme web main no-commits
  mkdir "$tmp/work/nothing"
  package_json nothing 1.4.0
  note "no-git-repository: a folder named nothing with only a package.json"
  run no-git-repository "$ALL,v_c_s" - - - nothing
  note "git-not-in-path: the history of the case plain, in a folder named not-in-path"
  web_repo not-in-path main https://github.com/acme/web.git
  run git-not-in-path "$ALL,v_c_s" acme web main not-in-path "PATH=$tmp/empty"

  note
  note "-- remotes"
  web_repo urls main
  note "no-remote: in a folder named urls"
  run no-remote "$ALL" - - main urls
  run_git -C "$tmp/work/urls" remote add origin https://github.com/acme/web.git
  remote https-git https://github.com/acme/web.git acme web
  remote https https://github.com/acme/web acme web
  remote https-slash https://github.com/acme/web/ acme web
  remote https-user https://hikari@github.com/acme/web.git acme web
  remote https-password https://hikari:not-a-password@github.com/acme/web.git acme web
  remote https-port https://git.example.com:8443/acme/web.git acme web
  remote http http://git.example.com/acme/web.git acme web
  remote git git://git.example.com/acme/web.git acme web
  remote scp git@github.com:acme/web.git acme web
  remote scp-no-git git@github.com:acme/web acme web
  remote scp-other-user deploy@git.example.com:acme/web.git acme web
  remote ssh ssh://git@git.example.com/acme/web.git acme web
  remote ssh-port ssh://git@git.example.com:2222/acme/web.git acme web
  remote file file:///srv/git/acme/web.git acme web
  remote nested-group https://gitlab.com/group/sub/repo.git group/sub repo
  remote nested-group-scp git@gitlab.com:group/sub/repo.git group/sub repo
  remote repo-ends-in-git https://github.com/acme/legit acme legit
  remote upper-case https://github.com/Acme/Web.git Acme Web
  web_repo upstream main
  run_git -C "$tmp/work/upstream" remote add upstream https://github.com/acme/web.git
  note "remote-not-origin: https://github.com/acme/web.git, but its name is upstream; in a folder named upstream"
  run remote-not-origin "$ALL" acme web main upstream

  note
  note "-- formats"
  web_repo formats main https://github.com/acme/web.git
  run formats-readme v_c_s,miv,ma acme web main formats
  run format-one v_c_s acme web main formats
  run format-branch b_v_c acme web main formats
  run formats-each o,r,b,v,c,s,ma,mi,p,miv,lt,lm acme web main formats
  run formats-latest lt,lm,v_lt,v_lm,lm_v,v_c_s acme web main formats
  run format-unknown v_x_s,V_C_S,v-c-s,v_c_s_ acme web main formats
  web_repo master master https://github.com/acme/web.git
  note "formats-latest-on-master: as formats-latest, the branch is master"
  run formats-latest-on-master lt,lm,v_lt,v_lm,lm_v,v_c_s acme web master master

  note
  note "-- in CI: the variables which Drone and Travis set replace git's answers"
  web_repo ci main https://github.com/acme/web.git
  run_git -C "$tmp/work/ci" checkout -q --detach
  note "drone-push: DRONE_BUILD_EVENT=push, on a detached checkout"
  run drone-push "$ALL,v_lt" acme web main ci DRONE=true DRONE_BUILD_EVENT=push \
    DRONE_BRANCH=main DRONE_REPO_OWNER=acme DRONE_REPO_NAME=web
  note "drone-tag: DRONE_BUILD_EVENT=tag"
  run drone-tag "$ALL,v_lt,lt" acme web main ci DRONE=true DRONE_BUILD_EVENT=tag \
    DRONE_BRANCH=main DRONE_REPO_OWNER=acme DRONE_REPO_NAME=web
  note "travis-push: TRAVIS_TAG is set, but empty"
  run travis-push "$ALL,v_lt" acme web main ci TRAVIS=true TRAVIS_BRANCH=main \
    TRAVIS_TAG= TRAVIS_PULL_REQUEST_BRANCH= TRAVIS_REPO_SLUG=acme/web
  note "travis-tag: TRAVIS_TAG=v1.4.0; Travis then gives the tag's name as the branch, too"
  run travis-tag "$ALL,v_lt" acme web v1.4.0 ci TRAVIS=true TRAVIS_BRANCH=v1.4.0 \
    TRAVIS_TAG=v1.4.0 TRAVIS_PULL_REQUEST_BRANCH= TRAVIS_REPO_SLUG=acme/web
  note "travis-commit: TRAVIS_COMMIT is another commit than the one checked out"
  run travis-commit "$ALL" acme web main ci TRAVIS=true TRAVIS_BRANCH=main \
    TRAVIS_TAG= TRAVIS_PULL_REQUEST_BRANCH= TRAVIS_REPO_SLUG=acme/web \
    TRAVIS_COMMIT=0123456789abcdef0123456789abcdef01234567

  note
  note "-- commit hashes which look like numbers"
  web_repo digits main https://github.com/acme/web.git
  mine digits '^[1-9][0-9]{7}'
  run slug-digits "$ALL,v_c_s,s" acme web main digits
  web_repo zero main https://github.com/acme/web.git
  mine zero '^0[0-9]{7}'
  run slug-digits-from-0 "$ALL,v_c_s,s" acme web main zero
  web_repo exponent main https://github.com/acme/web.git
  mine exponent '^[1-9]([0-9]{4}e[0-9]{2}|[0-9]{5}e[0-9])'
  run slug-exponent "$ALL,v_c_s,s" acme web main exponent
}

cases >"$tmp/tags.tsv"
cp -- "$tmp/tags.tsv" "$out"
echo "wrote $out" >&2
