package dotenv

import (
	"errors"
	"strings"
)

// ErrObeyed means a name that shells, loaders or interpreters obey, such as PATH,
// BASH_ENV, LD_PRELOAD, NODE_OPTIONS or GIT_SSH_COMMAND. It is read and not
// written: who sources a file that others may add to would run what they chose.
// Write the value in another form, or leave it out.
var ErrObeyed = errors.New("name is one that shells or other programs obey")

// obeyed are names that a shell, the loader of programs or an interpreter takes
// as an order to run something, or for the place where programs are found:
// bash(1), sh(1), zshparam(1), ld.so(8), dyld(1), git(1), and the manuals of the
// interpreters. A value under such a name is no secret but a command, perhaps of
// somebody else's. None of the lists is complete.
var obeyed = []string{ //nolint:gochecknoglobals // a constant
	"path", "cdpath", "fpath", "ifs", "env", "bash_env", "bashopts", "shellopts", "prompt_command", "ps0", "ps1", "ps2", "ps3", "ps4", "zdotdir", "histfile",
	"editor", "visual", "pager", "manpager", "browser", "lessopen", "lessclose", "ssh_askpass", "sudo_askpass",
	"ld_*", "dyld_*", "glibc_tunables", "gconv_path",
	"node_options", "node_path", "npm_config_script_shell", "npm_config_node_options",
	"pythonpath", "pythonhome", "pythonstartup", "pythonbreakpoint", "pythonuserbase", "pythonwarnings", "perl5lib", "perl5opt", "perl5db", "perllib", "rubyopt", "rubylib",
	"java_tool_options", "_java_options", "jdk_java_options", "classpath", "php_ini_scan_dir", "phprc", "lua_init", "rustc_wrapper", "goflags",
	"git_ssh", "git_ssh_command", "git_askpass", "git_editor", "git_sequence_editor", "git_pager", "git_external_diff", "git_proxy_command",
	"git_exec_path", "git_template_dir", "git_dir", "git_config*",
}

// isObeyed reports that name, in any case, since zsh and Windows know names in
// others, is one of those.
func isObeyed(name string) bool {
	name = strings.ToLower(name)
	for _, o := range obeyed {
		if prefix, wild := strings.CutSuffix(o, "*"); o == name || wild && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
