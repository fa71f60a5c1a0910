/**
 * Every text of the app, in one place, so a second language is a second file of this shape.
 *
 * The voice: plain, short, calm. It says what is, then what to do. It never blames.
 */
import type { Alarm, ChatView, Connection, EntryError, GroupError, Notice, PeopleError, SendError, SessionState, SystemEvent, Tick, Unsent } from '#lib/app/engine-api.ts';

const count = (n: number, one: string, many: string) => `${n.toLocaleString('en')} ${n === 1 ? one : many}`;

export const words = {
  app: 'Godwit',
  you: 'You',
  unknownPerson: 'Somebody',
  titleWithUnread: (unread: number) => (unread > 0 ? `(${unread}) Godwit` : 'Godwit'),

  common: {
    back: 'Back',
    cancel: 'Cancel',
    close: 'Close',
    continue: 'Continue',
    copied: 'Copied',
    copy: 'Copy',
    copyFailed: 'The browser did not allow copying. Select the text and copy it by hand.',
    done: 'Done',
    dismiss: 'Dismiss',
    edit: 'Edit',
    loading: 'Loading',
    menu: 'Menu',
    more: 'More',
    remove: 'Remove',
    retry: 'Try again',
    save: 'Save',
    saved: 'Saved',
    search: 'Search',
    clear: 'Clear',
    verified: 'Verified',
    muted: 'Muted',
    pinned: 'Pinned',
  },

  failed: {
    title: 'This screen did not load',
    text: 'Part of the app could not be fetched. Nothing you wrote is lost.',
    reload: 'Reload',
  },
  notFound: { title: 'Nothing lives at this address', text: 'The link may be old, or belong to another account.', action: 'Go to your chats' },

  unusable: {
    title: 'Godwit cannot keep data in this browser',
    failedTitle: 'Godwit could not open your data',
    reasons: {
      'storage-blocked': 'The browser refuses to store anything for this page. Private windows often do. Open Godwit in a normal window, or allow site data for this address.',
      'storage-newer': 'A newer version of Godwit has been used here. Close all its tabs and reload this page to get that version.',
      'no-locks': 'This browser lacks something Godwit needs to keep two tabs from disturbing each other. A current Chrome, Firefox, Edge or Safari has it.',
      failed: 'Something went wrong while opening your data. It has not been changed. Reload to try again.',
    } satisfies Record<Extract<SessionState, { type: 'unusable' }>['reason'], string>,
    reload: 'Reload',
  },

  ended: {
    title: { removed: 'This browser was removed from your account', evicted: 'The browser deleted the data of Godwit' },
    text: {
      removed: 'Another of your devices removed it. It receives nothing more, and everything here is deleted when you go on. Your account and your other devices stay.',
      evicted: 'Browsers do this when space runs low or site data is cleared. Sign in again, and all that was sent and received comes back.',
    },
    unsent: (n: number) => `${count(n, 'text was', 'texts were')} not sent. Copy what you want to keep.`,
    file: (unsent: readonly Unsent[]) => unsent.map(({ chat, text }) => `${chat}:\n${text}\n`).join('\n'),
    fileName: 'godwit-not-sent.txt',
    copy: 'Copy all',
    save: 'Save as text',
    leave: { removed: 'Delete everything here', evicted: 'Go on to sign in' },
  },

  entry: {
    signedOut: {
      removed: 'This browser was removed from your account by another of your devices. Everything that was here is deleted.',
      evicted: 'The browser deleted the data of Godwit, as it may when space runs low. Sign in again, and all that was sent and received comes back.',
      'still-listed': 'You are signed out and everything here is deleted. The server could not be told, so this browser still stands in the list of your devices: revoke it there from another one.',
    } satisfies Record<NonNullable<Extract<SessionState, { type: 'signed-out' }>['why']>, string>,
    tagline: 'Messages that arrive, even after a long way without a network.',
    points: ['Only you and the people you write to can read it.', 'Read and write with no network. It goes out by itself later.', 'No phone number. A name you choose is enough.'],
    create: 'Create an account',
    signIn: 'Sign in',
    haveAccount: 'I already have an account',
    noAccount: 'I am new here',
    signUpTitle: 'Create your account',
    signUpText: 'Pick a handle people can find you by. The server learns the handle, never your name or password.',
    signInTitle: 'Welcome back',
    signInText: 'All your chats come to this browser.',
    wordsTitle: 'Sign in with your words',
    wordsText: 'The 24 recovery words you wrote down when you signed up, in their order.',
    useWords: 'Use recovery words instead',
    usePassword: 'Use the password instead',
    name: 'Name',
    nameHint: 'Shown to people you talk with.',
    handle: 'Handle',
    handleHint: '3 to 32 letters, digits or _, a letter first.',
    password: 'Password',
    passwordHint: 'At least 8 characters. A few unrelated words make a good one.',
    showPassword: 'Show password',
    hidePassword: 'Hide password',
    recoveryWords: 'Recovery words',
    wordsCounted: (n: number) => (n === 0 ? '24 words, with spaces between' : `${n} of 24 words`),
    busySignUp: 'Making your keys…',
    busySignIn: 'Checking…',
    busyText: 'This takes a moment on purpose: it makes guessing slow.',
    strength: ['Too short', 'Easy to guess', 'Fair', 'Good', 'Strong'],
    strengthLabel: 'Password strength',
    hints: {
      common: 'Many people use this one. It would be guessed at once.',
      personal: 'It contains your name or handle. Choose something not about you.',
      repeated: 'Repeated letters add little.',
      short: 'Longer is stronger: add a word or two.',
    },
    required: { name: 'Enter a name.', handle: 'Enter a handle.', password: 'Enter a password.', words: 'Enter all 24 words.' },
    invite: 'You were invited to a chat. Create an account or sign in, and it opens.',
  },

  recovery: {
    title: 'Your recovery words',
    text: 'These 24 words open your account if you forget the password. Nobody can give them to you again, not even us. Write them on paper and keep it safe.',
    copy: 'Copy words',
    print: 'Print',
    download: 'Save as text',
    file: (handle: string, list: readonly string[]) => `Godwit recovery words for @${handle}\n\n${list.map((word, i) => `${String(i + 1).padStart(2, ' ')}. ${word}`).join('\n')}\n\nWhoever has these words can open the account. Keep them safe and offline.\n`,
    fileName: 'godwit-recovery-words.txt',
    copied: 'Copied. Clear the clipboard when you have stored them.',
    written: 'I have written them down',
    confirmTitle: 'Let us check two of them',
    confirmText: 'Type these words from your paper.',
    wordNumber: (n: number) => `Word ${n}`,
    wrong: (n: number) => `That is not word ${n}. Look at your list once more.`,
    showAgain: 'Show the words again',
    finish: 'Finish',
    list: 'Recovery words in order',
    remind: 'Your recovery words are not confirmed',
    remindText: 'Without them, a forgotten password closes your account for good.',
    remindAction: 'I have them',
    remindLater: 'Not now',
    remindAsk: 'Do you have your 24 recovery words on paper?',
    remindAskText: 'They were shown when you signed up and cannot be shown again. If you do not have them, keep your password well, and keep another browser signed in.',
    remindYes: 'Yes, I have them',
  },

  connection: {
    line(connection: Connection): string | undefined {
      const { waiting } = connection;
      const waits = waiting === 0 ? '' : ` ${count(waiting, 'message waits', 'messages wait')} and ${waiting === 1 ? 'goes' : 'go'} out by ${waiting === 1 ? 'itself' : 'themselves'}.`;
      switch (connection.state) {
        case 'offline': return `Offline.${waits}`;
        case 'connecting': return waiting === 0 ? 'Connecting…' : `Connecting…${waits}`;
        case 'catching-up': return 'Catching up…';
        case 'update-needed': return `This version is too old to connect. Reload to update.${waits}`;
        case 'sign-in-needed': return `Sign in again to connect.${waits}`;
        case 'online': return undefined;
      }
    },
    retry: 'Try now',
    signIn: 'Sign in',
    reload: 'Reload',
  },

  renew: {
    title: 'Sign in again',
    text: 'The server ended this session. Everything you have is still here; enter your password to connect.',
    action: 'Connect',
  },

  list: {
    label: 'Chats',
    searchPlaceholder: 'Search chats and people',
    searchHint: 'Search',
    newChat: 'New chat',
    newGroup: 'New group',
    invite: 'Invite somebody',
    settings: 'Settings',
    draft: 'Draft:',
    you: 'You:',
    deleted: 'Message deleted',
    typing: 'typing…',
    typingNames(names: readonly string[]): string {
      if (names.length === 0) return '';
      if (names.length === 1) return `${names[0]} is typing…`;
      if (names.length === 2) return `${names[0]} and ${names[1]} are typing…`;
      return `${count(names.length, 'person is', 'people are')} typing…`;
    },
    empty: 'No messages yet',
    unread: (n: number) => count(n, 'unread message', 'unread messages'),
    noneTitle: 'No chats yet',
    noneText: 'Find somebody by handle, or send them your invitation link.',
    noMatches: (query: string) => `Nothing here matches “${query}”.`,
    findPerson: 'Find a person',
    findHint: 'Look for exactly this handle',
    findHandle: (handle: string) => `Find @${handle}`,
    pickTitle: 'Choose a chat',
    pickText: 'Your messages are here, on this device. Choose a chat on the left, or start a new one.',
    shortcuts: [['Ctrl K', 'Jump to a chat'], ['↑', 'Edit your last message'], ['Esc', 'Close or go back']] as const,
    self: 'Saved messages',
    selfHint: 'Only you see these, on all your devices',
    menu: 'Menu',
    compose: 'New chat or group',
    results: 'Search results',
    clearSearch: 'Clear search',
    sectionChats: 'Chats',
    sectionPeople: 'People you know',
    chatMenu: 'Chat actions',
    pin: 'Pin to the top',
    unpin: 'Unpin',
    mute: 'Mute',
    unmute: 'Unmute',
    alarm: {
      'forked-group': 'Two histories of this group exist',
      'bad-entry': 'A message failed its check',
      'identity-changed': 'Identity changed',
      'missing-entries': 'Messages are missing',
      withheld: 'The server holds messages back',
    } satisfies Record<Alarm, string>,
  },

  jump: { title: 'Jump to a chat', placeholder: 'Type a name or handle', none: 'Nobody and nothing by that name.', people: 'People', chats: 'Chats', actions: 'Actions' },

  newChat: {
    title: 'New chat',
    handle: 'Their handle',
    handlePlaceholder: 'for example mira',
    find: 'Find',
    finding: 'Looking…',
    hint: 'Handles are exact: there is no list of people to browse, so nobody can list you.',
    people: 'People you know',
    start: (name: string) => `Chat with ${name}`,
    group: 'New group',
    groupText: 'Talk with several people at once',
    invite: 'Invitation link',
    inviteText: 'For somebody you reach another way',
  },

  invite: {
    title: 'Your invitation',
    text: 'Whoever opens this link can start a chat with you. Show the code, or send the link.',
    link: 'Invitation link',
    copy: 'Copy link',
    share: 'Share…',
    qr: 'QR code of your invitation link',
    opening: 'Opening the invitation…',
    acceptTitle: 'An invitation',
    acceptText: (name: string) => `Start a chat with ${name}?`,
    accept: 'Start chat',
    bad: 'This invitation cannot be read. Ask for a new one.',
    failedTitle: 'The invitation did not open',
    mismatch: 'The server named somebody else than the one who made this invitation. No chat was started. Ask for a new link, by another way if you can.',
    yourself: 'This is your own invitation. Send it to somebody else.',
    gone: 'Nobody has the handle in this invitation. Ask for a new one.',
  },

  newGroup: {
    title: 'New group',
    name: 'Group name',
    members: 'Members',
    addMembers: 'Add people',
    search: 'Name or handle',
    noPeople: 'You know nobody here yet. Find people by handle first; then they appear in this list.',
    create: 'Create group',
    creating: 'Creating…',
    unpick: (name: string) => `Take ${name} out again`,
    picked: (n: number) => count(n, 'person chosen', 'people chosen'),
  },

  picture: {
    choose: 'Choose picture',
    change: 'Change picture',
    remove: 'Remove picture',
    bad: 'This file is not a picture the browser can read. Try a PNG or JPEG.',
    big: 'This picture does not fit even when made small. Try a simpler one.',
  },

  share: {
    title: 'Share to…',
    text: 'Choose a chat. You can change the text before it is sent.',
    nothing: 'Nothing was shared.',
  },

  chat: {
    label: (title: string) => `Chat with ${title}`,
    messages: 'Messages',
    info: 'Chat info',
    members: (n: number) => count(n, 'member', 'members'),
    missingTitle: 'This chat is not here',
    missingText: 'It may belong to another account, or has not arrived on this device yet.',
    today: 'Today',
    yesterday: 'Yesterday',
    unreadDivider: 'New messages',
    loadingOlder: 'Loading older messages…',
    olderNeedsNetwork: 'Older messages are on the server. They load when you are connected.',
    emptyTitle: 'No messages yet',
    emptyText: 'Say hello. Everything here is end-to-end encrypted.',
    jumpDown: 'Jump to the newest message',
    jumpDownUnread: (n: number) => `Jump to the newest message, ${count(n, 'unread', 'unread')}`,
    edited: 'edited',
    deleted: 'Message deleted',
    late: (written: string, received: string) => `Written ${written}, arrived ${received}`,
    replyGone: 'The message is not here',
    replyTo: (name: string) => `Reply to ${name}`,
    jumpToReply: (name: string, preview: string) => `Jump to the message of ${name}: ${preview}`,
    quarantined: 'This message failed its check and is not shown',
    quarantinedMore: 'It was altered, or is not from whom it claims. Nothing in it was trusted.',
    unproven: 'A message is missing here',
    unprovenMore: 'The server no longer has it, and nobody in this chat deleted it.',
    notSent: 'Not sent.',
    retry: 'Try again',
    drop: 'Delete',
    reaction: (emoji: string, n: number, mine: boolean, names: readonly string[]) => `${emoji} ${n}${mine ? ', yours' : ''}: ${names.join(', ')}`,
    newFrom: (name: string, text: string) => `${name}: ${text}`,
    readTo: 'End of loaded messages',
    actions: 'Message actions',
    tick: { waiting: 'Waiting to be sent', sent: 'Sent', delivered: 'Delivered', read: 'Read', failed: 'Not sent' } satisfies Record<Tick, string>,
    alarm: {
      'forked-group': 'Somebody showed you and others two different histories of this group. Do not trust new members until you have talked with the owner.',
      'bad-entry': 'A message here failed its check. It is marked in the chat, and nothing in it was trusted.',
      'identity-changed': 'The identity of this person changed. Compare the safety number before you write anything that matters.',
      'missing-entries': 'Messages are missing from this chat. They may still arrive; what you see is true, but not whole.',
      withheld: 'The server has messages of this chat it does not hand out. What you see is true, but not whole.',
    } satisfies Record<Alarm, string>,
    alarmAction: 'Look',
    day: 'Day',
  },

  menu: {
    label: 'Message actions',
    react: (emoji: string) => `React with ${emoji}`,
    moreReactions: 'More reactions',
    reply: 'Reply',
    edit: 'Edit',
    copy: 'Copy text',
    info: 'Info',
    remove: 'Delete for everyone',
    withdraw: 'Delete',
    retry: 'Try again',
  },

  deleteMessage: {
    title: 'Delete this message?',
    text: 'It disappears for everyone in this chat. Somebody may have read it already.',
    waitingText: 'It has not been sent yet, so nobody will see it.',
    action: 'Delete',
  },

  seenBy: {
    title: 'Message info',
    written: 'Written',
    received: 'Arrived here',
    edited: 'It was edited after it was sent.',
    late: 'It arrived long after it was written.',
    read: 'Read by',
    delivered: 'Delivered to',
    waiting: 'Not delivered yet',
    nobody: 'Nobody yet',
  },

  composer: {
    label: 'Message',
    placeholder: 'Message',
    send: 'Send',
    save: 'Save',
    emoji: 'Emoji',
    replying: (name: string) => `Reply to ${name}`,
    editing: 'Edit message',
    cancelReply: 'Cancel reply',
    cancelEdit: 'Cancel edit',
    near: (left: number) => `${count(left, 'character', 'characters')} left`,
    over: (over: number) => `${count(over, 'byte', 'bytes')} too long. Shorten it or send it in parts.`,
    errors: {
      empty: 'There is nothing to send.',
      'too-long': 'This message is too long for one piece. Split it and send the parts.',
      'not-member': 'You are no longer in this chat.',
      'storage-full': 'This device has no room left. Your text stays in the box; free some space and send again.',
      'storage-failed': 'The browser could not keep this. Your text stays in the box; try again, or copy it and reload.',
      'unknown-chat': 'This chat is not here any more.',
      'unknown-message': 'The message is not here any more.',
      'not-allowed': 'You may not change this message.',
      'keys-missing': 'The keys for this chat have not arrived yet. Your text stays in the box.',
    } satisfies Record<SendError['type'], string>,
    readOnly: {
      left: 'You left this group. You can read what was written until then.',
      removed: 'You were removed from this group. You can read what was written until then.',
      'keys-missing': 'The keys for this chat have not arrived yet. You can write as soon as they do.',
    } satisfies Record<NonNullable<ChatView['readOnlyReason']>, string>,
    readOnlyDefault: 'You cannot write here now.',
  },

  emoji: { title: 'Emoji', groups: { faces: 'Faces', gestures: 'Hands and people', nature: 'Nature', food: 'Food', things: 'Places and things', symbols: 'Hearts and signs' } },

  info: {
    title: 'Chat info',
    close: 'Close chat info',
    encryptedShort: 'End-to-end encrypted',
    showMore: (n: number) => `Show ${count(n, 'more', 'more')}`,
    identityAcceptTitle: 'Accept the new identity?',
    identityAcceptText: (name: string) => `From now on messages go to whoever holds the new keys of ${name}. Accept only when you are sure it is them.`,
    description: 'Description',
    noDescription: 'No description',
    members: 'Members',
    addMembers: 'Add people',
    add: (n: number) => (n === 0 ? 'Add' : `Add ${count(n, 'person', 'people')}`),
    owner: 'owner',
    admin: 'admin',
    member: 'member',
    memberActions: (name: string) => `Actions for ${name}`,
    message: 'Write to them',
    makeAdmin: 'Make admin',
    makeMember: 'Take admin role away',
    removeMember: 'Remove from group',
    removeTitle: (name: string) => `Remove ${name}?`,
    removeText: 'They keep what they have, and read nothing written from now on.',
    editGroup: 'Edit group',
    leave: 'Leave group',
    leaveTitle: 'Leave this group?',
    leaveText: 'You keep what is here and get nothing new. Only a member can add you again.',
    safety: 'Safety number',
    safetyVerified: 'You compared it: verified',
    safetyNot: 'Not compared yet',
    encrypted: 'End-to-end encrypted. Keys were renewed',
    handle: 'Handle',
    mute: 'Mute',
    pin: 'Pin to the top',
    identityTitle: 'The identity changed',
    identityText: 'The server now names another identity for this person than the one you knew. Perhaps they started anew; perhaps somebody is in between. Compare the safety number in person or by phone before you accept.',
    identityAccept: 'Accept the new identity',
    identityCompare: 'Compare first',
  },

  safety: {
    title: 'Safety number',
    text: (name: string) => `If ${name} sees the same number, nobody is in between. Compare it side by side or read it out on the phone.`,
    number: 'Safety number',
    qr: 'QR code of the safety number',
    copy: 'Copy number',
    compare: 'Compare with a number they sent',
    compareLabel: 'Paste their number',
    same: 'The same. Nobody is in between.',
    different: 'Different. Do not mark this person as verified.',
    unknown: 'The keys of this person are not known here yet. They arrive with the next connection.',
    verify: 'Mark as verified',
    unverify: 'Take the mark away',
    verified: 'You marked this person as verified.',
  },

  settings: {
    title: 'Settings',
    profile: 'Profile',
    name: 'Name',
    nameHint: 'Sealed for the people you talk with.',
    handle: 'Your handle',
    nameSaved: 'Saved',
    nameInvalid: 'A name has 1 to 64 characters.',
    appearance: 'Appearance',
    theme: 'Theme',
    themes: { system: 'System', light: 'Light', dark: 'Dark' },
    devices: 'Devices',
    devicesText: 'Browsers that can open your account.',
    thisDevice: 'This browser',
    otherDevice: 'Can open your account',
    revoked: 'Revoked',
    added: (when: string) => `Added ${when}`,
    revoke: 'Revoke',
    revokeLabel: (name: string) => `Revoke ${name}`,
    revokeTitle: (name: string) => `Revoke ${name}?`,
    revokeText: 'It cannot sign or read anything new from now on. Do this for a device you lost.',
    storage: 'Storage on this device',
    storageUsed: (used: string, quota: string | undefined) => (quota ? `${used} used of ${quota}` : `${used} used`),
    persisted: 'The browser promised to keep your data.',
    notPersisted: 'The browser may delete your messages here when space runs low. They stay on the server and on your other devices, but what has not been sent yet would be lost.',
    notPersistedShort: 'The browser may delete messages here when space runs low.',
    storageMore: 'What to do',
    persistUnknown: 'The browser does not say whether it keeps your data.',
    persistAsk: 'Ask the browser to keep it',
    persistRefused: 'The browser refused for now. Installing the app, or using it often, usually changes its mind.',
    full: 'This device is full. New messages cannot be stored until you free some space. Nothing you wrote is lost.',
    recovery: 'Recovery words',
    recoveryConfirmed: 'Confirmed. Keep them safe.',
    recoveryNot: 'Not confirmed yet',
    install: 'Install',
    installText: 'Godwit as an app of its own: own window, own icon, data kept longer.',
    installAction: 'Install the app',
    about: 'About',
    version: (version: string) => `Version ${version}`,
    aboutText: 'The godwit flies eleven thousand kilometres without landing, and arrives.',
    signOut: 'Sign out',
    signOutButton: 'Sign out of this browser',
    signOutText: 'Wipes this browser and takes it out of your devices. Your account and your other devices stay.',
    signOutTitle: 'Sign out of this browser?',
    signOutAsk: 'All messages and keys are wiped from this browser. You need your password or your recovery words to come back.',
    signOutWaiting: (n: number) => `${count(n, 'message has', 'messages have')} not been sent yet and would be lost. Connect first, or sign out anyway.`,
    signOutOffline: 'The server cannot be reached now. This browser is wiped all the same, but stays in the list of your devices until you revoke it there from another one.',
    signOutForce: 'Sign out anyway',
    everywhere: 'Also end all my other sessions',
  },

  install: { text: 'Godwit works as an app of its own, with its own window and icon.', action: 'Install' },
  update: { text: 'A new version is ready.', action: 'Reload' },
  notices: {
    label: 'Notices',
    texts: {
      'clock-off': 'The clock of this device seems wrong. Times in your chats may look odd until it is set right.',
      'new-device': 'A new device was added to your account. If that was not you, revoke it in the settings and change your password.',
      'server-restored': 'The server was restored from an older copy. Your messages are being sent to it again.',
      'vault-rolled-back': 'The server handed out an older copy of your private data. It was refused; yours is kept.',
      'identity-changed': 'The identity of a person changed. Compare the safety number before you go on.',
      'forked-group': 'Two histories of one group exist. Be careful in that chat.',
      'storage-full': 'This device is full. Free some space; nothing you wrote is lost.',
      'storage-not-persistent': 'The browser may delete data of this app when space runs low.',
      'message-refused': 'A message was refused and is marked in its chat.',
      'session-ended': 'The server ended this session. Sign in again to connect; nothing is lost.',
      'server-withholds': 'The server holds back messages of a chat.',
      'corrupt-row': 'A stored message was damaged and is fetched again.',
    } satisfies Record<Notice['type'], string>,
    open: 'Open',
  },

  errors: {
    entry(error: EntryError): string {
      switch (error.type) {
        case 'handle-invalid': return 'A handle has 3 to 32 letters, digits or _, and starts with a letter.';
        case 'handle-taken': return 'This handle is taken. Try another one.';
        case 'password-short': return 'The password needs at least 8 characters.';
        case 'password-long': return 'The password is too long.';
        case 'wrong-credentials': return 'Handle and password do not fit together. Check both.';
        case 'words-invalid': return 'These words do not open the account. Check their order and spelling.';
        case 'device-revoked': return 'This browser was removed from your account by another of your devices.';
        case 'offline': return 'The server cannot be reached. This step needs a connection.';
        case 'too-many-devices': return 'This account already has 16 devices. Revoke one you no longer use, from another browser.';
        case 'too-many': return `Too many attempts. Try again in ${waitText(error.retryInSeconds)}.`;
        case 'server-tampered': return 'The server handed out data that does not fit what this browser knows. It was refused. Tell the person who runs the server.';
        case 'failed': return 'That did not work. Try again in a moment.';
      }
    },
    people(error: PeopleError): string {
      switch (error.type) {
        case 'not-found': return 'Nobody has this handle. Handles are exact, so check the spelling.';
        case 'offline': return 'Finding people needs a connection. Your existing chats work without one.';
        case 'handle-invalid': return 'A handle has 3 to 32 letters, digits or _, and starts with a letter.';
        case 'is-yourself': return 'That is you.';
        case 'too-many': return `Too many searches. Try again in ${waitText(error.retryInSeconds)}.`;
        case 'failed': return 'That did not work. Try again in a moment.';
      }
    },
    group(error: GroupError): string {
      switch (error.type) {
        case 'offline': return 'This needs a connection. Writing in your chats does not.';
        case 'not-allowed': return 'Your role in this group does not allow that.';
        case 'full': return 'The group is full.';
        case 'name-invalid': return 'A group name has 1 to 64 characters.';
        case 'picture-too-big': return 'The picture is too big.';
        case 'unknown-chat': return 'This chat is not here any more.';
        case 'last-owner': return 'You are the only owner. Remove the others first, or stay.';
        case 'failed': return 'That did not work. Try again in a moment.';
      }
    },
  },

  system(event: SystemEvent, name: (account: string) => string, isMe: (account: string) => boolean): string {
    const subject = (account: string) => (isMe(account) ? words.you : name(account));
    const object = (account: string) => (isMe(account) ? 'you' : name(account));
    switch (event.type) {
      case 'created': return event.kind === 'group' ? `${subject(event.by)} created the group` : event.kind === 'self' ? 'Your notes, on all your devices' : 'Messages here are end-to-end encrypted';
      case 'added': return `${subject(event.by)} added ${object(event.who)}`;
      case 'removed': return `${subject(event.by)} removed ${object(event.who)}`;
      case 'role': return `${subject(event.by)} made ${object(event.who)} ${event.role === 'admin' ? 'an admin' : event.role === 'owner' ? 'an owner' : 'a member'}`;
      case 'left': return `${subject(event.who)} left`;
      case 'meta': return event.name ? `${subject(event.by)} named the group “${event.name}”` : `${subject(event.by)} changed the group`;
      case 'identity-changed': return `The identity of ${object(event.who)} changed`;
    }
  },
};

function waitText(seconds: number): string {
  return seconds < 90 ? count(Math.max(1, Math.ceil(seconds)), 'second', 'seconds') : count(Math.ceil(seconds / 60), 'minute', 'minutes');
}
